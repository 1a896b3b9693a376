//! What a tool has to say, and which types a tool may return.

use crate::{Error, Result};
use serde::Serialize;

/// What a tool answers: text for the model, perhaps the same as data, and where it was found.
///
/// ```
/// use familiar_sdk::Output;
///
/// let output = Output::text("3 notes").with_data(&["milk", "bread", "jam"]);
/// assert_eq!(output.data.as_deref(), Some(r#"["milk","bread","jam"]"#));
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Output {
    /// What the model reads, or the owner at a terminal. Keep it short: it takes room in the context.
    pub text: String,
    /// The same as JSON, for programs.
    pub data: Option<String>,
    /// Where in the owner's files it was found, so that an answer can cite it. Only places that
    /// [`search`](crate::search) gave to this very call count.
    pub sources: Vec<Source>,
}

/// A stretch of a file, in bytes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Source {
    pub path: String,
    pub start: u64,
    pub end: u64,
}

impl Output {
    pub fn text(text: impl Into<String>) -> Output {
        Output { text: text.into(), ..Output::default() }
    }

    /// Adds the answer as JSON. What JSON cannot say (a map whose keys are no text) is left out.
    pub fn with_data(mut self, data: &(impl Serialize + ?Sized)) -> Output {
        self.data = serde_json::to_string(data).ok();
        self
    }

    pub fn with_sources(mut self, sources: impl IntoIterator<Item = Source>) -> Output {
        self.sources.extend(sources);
        self
    }
}

/// Returned by a tool: the value as JSON, as text and as data.
///
/// ```
/// use familiar_sdk::{tool, Json};
///
/// /// The first prime numbers.
/// #[tool]
/// fn primes() -> Json<[u32; 4]> {
///     Json([2, 3, 5, 7])
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Json<T>(pub T);

/// What may stand after the `->` of a tool, alone or as the `T` of `Result<T, E>` with an `E` that
/// becomes an [`Error`].
pub trait IntoResult {
    fn into_result(self) -> Result<Output>;
}

impl IntoResult for Output {
    fn into_result(self) -> Result<Output> {
        Ok(self)
    }
}

impl IntoResult for String {
    fn into_result(self) -> Result<Output> {
        Ok(Output::text(self))
    }
}

impl IntoResult for &str {
    fn into_result(self) -> Result<Output> {
        Ok(Output::text(self))
    }
}

impl<T: Serialize> IntoResult for Json<T> {
    fn into_result(self) -> Result<Output> {
        let text = serde_json::to_string(&self.0).map_err(Error::failed)?;
        Ok(Output { data: Some(text.clone()), text, sources: Vec::new() })
    }
}

impl<T: IntoResult, E: Into<Error>> IntoResult for std::result::Result<T, E> {
    fn into_result(self) -> Result<Output> {
        self.map_err(Into::into)?.into_result()
    }
}
