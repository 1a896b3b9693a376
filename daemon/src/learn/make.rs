//! Makes a job's folder: a copy of the examples, checked, and a spec that explains itself.

use super::data::{self, DataError};
use super::spec::Spec;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Why a job could not be made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    #[error("{} is there already and not empty; choose another folder", .0.display())]
    Exists(PathBuf),
    #[error("{}: {error}", .path.display())]
    Io { path: PathBuf, error: io::Error },
    #[error(transparent)]
    Data(#[from] DataError),
    #[error("{0}")]
    Spec(String),
}

/// Makes `folder` for `spec`, with a copy of the examples in `data`; returns how many there are.
pub fn make(folder: &Path, spec: &Spec, data: &Path) -> Result<usize, MakeError> {
    spec.check().map_err(MakeError::Spec)?;
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |error| MakeError::Io { path, error }
    };
    let mut bytes = Vec::new();
    // One more than may be: reading what came tells that it is too long.
    let read = File::open(data).and_then(|file| file.take(data::MOST + 1).read_to_end(&mut bytes));
    read.map_err(failed(data))?;
    let (rows, _) = data::read(&bytes[..])?;
    match fs::read_dir(folder).map(|mut entries| entries.next().is_some()) {
        Ok(true) => return Err(MakeError::Exists(folder.to_owned())),
        Ok(false) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new().recursive(true).mode(0o700).create(folder).map_err(failed(folder))?;
        }
        Err(error) => return Err(failed(folder)(error)),
    }
    for (name, bytes) in [("data.jsonl", &bytes[..]), ("spec.toml", spec.commented().as_bytes())] {
        let path = folder.join(name);
        let written = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
        written
            .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
            .map_err(failed(&path))?;
    }
    Ok(rows.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_job_is_made_once_and_from_good_data_only() {
        let place = tempfile::tempdir().unwrap();
        let (data, folder) = (place.path().join("mine.jsonl"), place.path().join("jobs/one"));
        let spec = Spec::new("/models/x.gguf".into(), "ab".repeat(32));
        fs::write(&data, "{\"text\":\"a\"}\nnonsense\n").unwrap();
        assert!(make(&folder, &spec, &data).unwrap_err().to_string().contains("data.jsonl:2"));
        assert!(!folder.exists(), "nothing is made for bad data");
        fs::write(&data, "{\"text\":\"a\"}\n{\"text\":\"b\"}\n").unwrap();
        let mut wrong = spec.clone();
        wrong.run.threads = 5000;
        assert!(make(&folder, &wrong, &data).unwrap_err().to_string().contains("`run.threads` is 5000"));
        assert!(!folder.exists(), "nor is anything made that would not be run");
        assert_eq!(make(&folder, &spec, &data).unwrap(), 2);
        assert_eq!(Spec::read(&folder).unwrap(), spec);
        assert!(matches!(make(&folder, &spec, &data), Err(MakeError::Exists(_))));
    }
}
