//! The conformance guest in Rust: what each tool does stands in `../README.md`, and in `../cases` what it
//! answers. The guests in other languages do the same, byte for byte.

use familiar_sdk::{
    Context, Error, Output, Result, ask_user, clock, generate, http, kv, log, notify, progress, search,
    serde_json, tool,
};

/// Gives the text back.
#[tool]
fn echo(text: String) -> String {
    text
}

/// Gives a JSON value back as data.
#[tool]
fn json(value: serde_json::Value) -> Output {
    Output::text("ok").with_data(&value)
}

/// Fails in the way that is asked for.
#[tool]
fn fail(kind: String, words: String) -> Result<String> {
    Err(match kind.as_str() {
        "invalid-arguments" => Error::InvalidArguments(words),
        "not-found" => Error::NotFound(words),
        "denied" => Error::Denied(words),
        "unavailable" => Error::Unavailable(words),
        _ => Error::Failed(words),
    })
}

/// Tells what it knows of its surroundings.
#[tool]
fn context(context: &Context) -> String {
    format!("{}|{}|{}", context.session, context.language, !context.deadline.is_zero())
}

/// Answers with so many letters.
#[tool]
fn large(bytes: usize) -> String {
    "x".repeat(bytes)
}

/// Stores, changes and deletes bytes.
#[tool]
fn kv_roundtrip() -> Result<String> {
    let all: Vec<u8> = (0..=255).collect();
    kv::set_bytes("b", &all).map_err(kv_error)?;
    kv::set_bytes("a", &[]).map_err(kv_error)?;
    let same = kv::get_bytes("b").map_err(kv_error)?.as_deref() == Some(&all[..]);
    let empty = kv::get_bytes("a").map_err(kv_error)?.is_some_and(|value| value.is_empty());
    let wrong = kv::swap_bytes("b", Some(b"other"), b"new").map_err(kv_error)?;
    let right = kv::swap_bytes("b", Some(&all), b"new").map_err(kv_error)?;
    let absent = kv::swap_bytes("c", None, b"new").map_err(kv_error)?;
    let keys = kv::keys("").map_err(kv_error)?.join(",");
    let deleted = kv::delete("b").map_err(kv_error)?;
    let again = kv::delete("b").map_err(kv_error)?;
    let none = kv::get_bytes("b").map_err(kv_error)?.is_none();
    Ok(format!("{same} {empty} {wrong} {right} {absent} {keys} {deleted} {again} {none}"))
}

/// Stores one text.
#[tool]
fn kv_set(key: String, value: String) -> Result<String> {
    kv::set_bytes(&key, value.as_bytes()).map_err(kv_error)?;
    Ok("set".into())
}

fn kv_error(error: kv::Error) -> Error {
    match error {
        kv::Error::Denied(words) => Error::Denied(words),
        kv::Error::Quota(bytes) => Error::Failed(format!("quota {bytes}")),
        kv::Error::Failed(words) => Error::Failed(words),
    }
}

/// Tells the time.
#[tool]
fn time() -> String {
    let now = clock::now();
    format!("{} {} {}", now.seconds, now.nanoseconds, clock::local_offset(now.seconds))
}

/// Writes a line of each level.
#[tool]
fn write_log() -> String {
    log::debug("one");
    log::info("zwei");
    log::warn("três");
    log::error("四");
    "written".into()
}

/// Searches.
#[tool]
fn find(query: String, limit: u32) -> Result<Output> {
    let hits = search::find(&query, limit).map_err(search_error)?;
    let lines: Vec<_> = hits.iter().map(hit_line).collect();
    Ok(Output::text(lines.join("\n")).with_sources(hits.iter().map(|hit| hit.source())))
}

fn hit_line(hit: &search::Hit) -> String {
    let page = hit.page.map_or("-".into(), |page| page.to_string());
    let score = match hit.score {
        score if score.is_nan() => "nan".into(),
        score if score.is_infinite() => "inf".into(),
        score => ((score * 100.0) as i64).to_string(),
    };
    let origin = match hit.origin {
        search::Origin::Owner => "owner",
        search::Origin::File => "file",
        search::Origin::Web => "web",
        search::Origin::Plugin => "plugin",
    };
    let search::Hit { path, title, breadcrumb, text, start, end, line, .. } = hit;
    format!("{path}|{title}|{breadcrumb}|{text}|{start}|{end}|{line}|{page}|{score}|{origin}")
}

/// Lists files.
#[tool]
fn files(suffix: String) -> Result<String> {
    let files: Vec<_> = search::files(&suffix).collect::<Result<_, _>>().map_err(search_error)?;
    let lines: Vec<_> =
        files.iter().map(|file| format!("{}|{}|{}", file.path, file.size, file.modified)).collect();
    Ok(lines.join("\n"))
}

/// Reads a file.
#[tool]
fn read(path: String, start: u64, length: u32) -> Result<Output> {
    let hit = search::read(&path, start, length).map_err(search_error)?;
    Ok(Output::text(format!("{}|{}|{}", hit.text, hit.start, hit.end)).with_sources([hit.source()]))
}

fn search_error(error: search::Error) -> Error {
    match error {
        search::Error::Denied(words) => Error::Denied(words),
        search::Error::NotFound(words) => Error::NotFound(words),
        search::Error::Failed(words) => Error::Failed(words),
    }
}

/// Asks the model; the temperature is in hundredths, and -1 is not a number.
#[tool]
fn generate(system: String, prompt: String, max_tokens: u32, temperature: i32) -> Result<String> {
    let temperature = if temperature < 0 { f32::NAN } else { temperature as f32 / 100.0 };
    let prompt = generate::Prompt::new(prompt).system(system).max_tokens(max_tokens).temperature(temperature);
    let reply = prompt.ask().map_err(|error| match error {
        generate::Error::Denied(words) => Error::Denied(words),
        generate::Error::Budget(left) => Error::Failed(format!("budget {left}")),
        generate::Error::TooLong((tokens, fit)) => Error::Failed(format!("too-long {tokens} {fit}")),
        generate::Error::Failed(words) => Error::Failed(words),
    })?;
    Ok(format!("{}|{}|{}|{}", reply.text, reply.prompt_tokens, reply.completion_tokens, reply.cut))
}

/// Sends a request.
#[tool]
fn request(method: String, url: String, body: Option<String>, credential: Option<String>) -> Result<String> {
    let mut request = http::Request::new(method, url).header("X-One", "1").header("X-Two", "zwei");
    if let Some(body) = body {
        request = request.body(body);
    }
    if let Some(credential) = credential {
        request = request.credential(credential);
    }
    let response = request.send().map_err(|error| match error {
        http::Error::Denied(words) => Error::Denied(words),
        http::Error::Invalid(words) => Error::InvalidArguments(words),
        http::Error::TooLarge(bytes) => Error::Failed(format!("too-large {bytes}")),
        http::Error::Timeout => Error::Unavailable("timeout".into()),
        http::Error::Failed(words) => Error::Failed(words),
    })?;
    let kind = response.header("content-type").unwrap_or("-");
    Ok(format!("{}|{}|{kind}|{}", response.status, response.url, response.text()))
}

/// Sends a notice, plans one, and cancels it.
#[tool]
fn notices(title: String, body: String, at: i64) -> Result<String> {
    notify::send(&title, &body).map_err(notify_error)?;
    let id = notify::schedule(&title, &body, at).map_err(notify_error)?;
    let mut lines = Vec::new();
    for notify::Scheduled { id, at, notice } in notify::pending().map_err(notify_error)? {
        lines.push(format!("{id}|{at}|{}|{}", notice.title, notice.body));
    }
    let cancelled = notify::cancel(&id).map_err(notify_error)?;
    let again = notify::cancel(&id).map_err(notify_error)?;
    let left = notify::pending().map_err(notify_error)?.len();
    Ok(format!("{}\n{cancelled} {again} {left}", lines.join("\n")))
}

fn notify_error(error: notify::Error) -> Error {
    match error {
        notify::Error::Denied(words) => Error::Denied(words),
        notify::Error::Failed(words) => Error::Failed(words),
    }
}

/// Asks yes or no.
#[tool]
fn confirm(question: String) -> Result<String> {
    Ok(ask_user::confirm(&question).map_err(ask_error)?.to_string())
}

/// Asks for one of some options.
#[tool]
fn choose(question: String, options: Vec<String>) -> Result<String> {
    let chosen = ask_user::choose(&question, &options).map_err(ask_error)?;
    Ok(chosen.map_or("none".into(), |place| place.to_string()))
}

fn ask_error(error: ask_user::Error) -> Error {
    match error {
        ask_user::Error::Denied(words) => Error::Denied(words),
        ask_user::Error::Unanswered => Error::Unavailable("unanswered".into()),
    }
}

/// Reports so many steps.
#[tool]
fn steps(count: u64) -> String {
    for done in 0..count {
        progress::report(done, count, "step");
    }
    format!("{count} {}", progress::is_cancelled())
}

/// Works until it is cancelled, or stopped.
#[tool]
fn spin() -> Result<String> {
    while !progress::is_cancelled() {}
    Err(Error::failed("cancelled"))
}

familiar_sdk::plugin!(
    echo,
    json,
    fail,
    context,
    large,
    kv_roundtrip,
    kv_set,
    time,
    write_log,
    find,
    files,
    read,
    generate,
    request,
    notices,
    confirm,
    choose,
    steps,
    spin,
);

#[cfg(test)]
mod tests {
    use super::*;

    /// To write it anew: `TOOLS=write cargo test -p conformance`.
    #[test]
    fn the_other_guests_describe_the_same_tools() {
        let tools: serde_json::Value = serde_json::from_str(&PLUGIN.describe()).unwrap();
        let text = serde_json::to_string_pretty(&tools).unwrap() + "\n";
        for guest in ["c", "python"] {
            let file = format!("{}/../{guest}/tools.json", env!("CARGO_MANIFEST_DIR"));
            if std::env::var_os("TOOLS").is_some() {
                std::fs::write(&file, &text).unwrap();
            }
            assert_eq!(std::fs::read_to_string(&file).unwrap(), text, "{file}");
        }
    }
}
