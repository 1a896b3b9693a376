//! `config show|schema`. Reads the file itself: settings can be looked at while no daemon runs.

use super::args;
use super::exit::Outcome;
use super::output::{self, Look};
use crate::config::paths::Paths;
use crate::config::{self, Loaded, Origin};
use serde_json::json;
use std::io::Write;

pub fn settings(paths: &Paths, args: args::Config, out: &mut impl Write, look: Look) -> Outcome {
    match args {
        args::Config::Schema => output::json(out, &config::schema()),
        args::Config::Show(json) => {
            let loaded = config::load(&paths.config_file)?;
            if json.json { show_json(&loaded, out) } else { show(&loaded, out, look) }
        }
    }
}

fn show_json(loaded: &Loaded, out: &mut impl Write) -> Outcome {
    output::json(out, &json!({"file": loaded.file, "settings": loaded.settings()}))
}

/// As a file that could be written so, each line with where its value came from.
fn show(loaded: &Loaded, out: &mut impl Write, look: Look) -> Outcome {
    let absent = if loaded.file.exists() { "" } else { " (absent)" };
    writeln!(out, "{}", look.dim(&format!("# {}{absent}", loaded.file.display())))?;
    let mut current = String::new();
    for setting in loaded.settings() {
        let (table, name) = setting.key.rsplit_once('.').unwrap_or(("", &setting.key));
        if table != current {
            writeln!(out, "\n{}", look.bold(&format!("[{table}]")))?;
            current = table.to_owned();
        }
        // Text, numbers, truth values and lists of text are written alike in JSON and in TOML.
        let line = format!("{name} = {}", setting.value);
        let origin = look.dim(&format!("# {}", setting.origin));
        match setting.origin {
            Origin::Default => writeln!(out, "{line:40} {origin}")?,
            Origin::File { .. } => writeln!(out, "{} {origin}", look.green(&format!("{line:40}")))?,
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::output::PLAIN;
    use super::*;
    use expect_test::expect;

    #[test]
    fn settings_are_shown_as_a_file_that_means_the_same() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        std::fs::write(&paths.config_file, "[model]\nthreads = 3\n[ask]\ntemperature = 0.7\n").unwrap();
        let mut out = Vec::new();
        settings(&paths, args::Config::Show(args::Json { json: false }), &mut out, PLAIN).unwrap();
        let text = String::from_utf8(out).unwrap();
        expect![[r#"

            [model]
            name = "ember"                           # default
            adapter = "personal"                     # default
            context = 0                              # default
            threads = 3                              # line 2
            gpu_layers = 999                         # default
            parallel = 2                             # default
            keep_alive_s = 300                       # default

            [ask]
            passages = 6                             # default
            passage_chars = 1200                     # default
            max_tokens = 512                         # default
            max_tool_calls = 6                       # default
            temperature = 0.7                        # line 4

            [index]
            exclude = []                             # default
            hidden = false                           # default
            max_file_bytes = 33554432                # default
            watch_percent = 50                       # default
            poll_s = 60                              # default

            [plugins]
            call_s = 30                              # default
            memory_mb = 64                           # default
            approval_s = 300                         # default
            http = true                              # default
            private_hosts = []                       # default

            [learn]
            sources = []                             # default
            folders = []                             # default
            idle_minutes = 10                        # default
            hours = ""                               # default
            on_battery = false                       # default
            pressure = 20                            # default
            celsius = 85                             # default
            least_samples = 12                       # default
            most_samples = 200                       # default
            held_out = 15                            # default
            distilled = 50                           # default
            style = 20                               # default
            earlier = 20                             # default
            replay = 30                              # default
            from_zero = 7                            # default
            keep = 5                                 # default
            rank = 16                                # default
            learning_rate = 0.0                      # default
            epochs = 3                               # default
            least_steps = 1000                       # default
            kl = 2.5                                 # default
            threads = 0                              # default

            [learn.gate]
            divergence = 0.05                        # default
            perplexity = 0.01                        # default
            guard_loss = 0.01                        # default
            earlier_loss = 0.05                      # default
            question_loss = 0.0                      # default
            cases = 100                              # default

            [desktop]
            dbus = true                              # default
            search_providers = true                  # default
            notifications = true                     # default
            tell_learned = false                     # default

            [log]
            level = "info"                           # default
        "#]]
        .assert_eq(text.split_once('\n').unwrap().1);
        let again = folder.path().join("again.toml");
        std::fs::write(&again, &text).unwrap();
        assert_eq!(config::load(&again).unwrap().config, config::load(&paths.config_file).unwrap().config);
    }

    #[test]
    fn json_names_file_key_value_and_line() {
        let folder = tempfile::tempdir().unwrap();
        let paths = Paths::under(folder.path());
        std::fs::write(&paths.config_file, "model.threads = 3").unwrap();
        let mut out = Vec::new();
        settings(&paths, args::Config::Show(args::Json { json: true }), &mut out, PLAIN).unwrap();
        let shown: serde_json::Value = serde_json::from_slice(&out).unwrap();
        let threads = json!({"key": "model.threads", "value": 3, "from": "file", "line": 1});
        assert!(shown["settings"].as_array().unwrap().contains(&threads), "{shown}");
    }
}
