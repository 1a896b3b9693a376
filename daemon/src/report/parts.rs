//! The parts of the page that are words and tables.

use super::text::{
    NONE, changed, count, date, escaped, fine_percent, grouped, number, percent, sane, signed,
};
use super::{BeforeAfter, Chapter, Story, measured, share, words};
use crate::gate::Interval;

/// Questions, rows of the tables, and characters of a text that are shown.
const QUESTIONS: usize = 3;
const ROWS: usize = 100;
const SOURCES: usize = 12;
const LONGEST: usize = 600;

pub fn head(story: &Story) -> String {
    format!(
        "<header>\n<p class=over>What Familiar learned · {}</p>\n<h1>{}</h1>\n<p class=lede>{}</p>\n{}</header>\n",
        date(story.local(story.made)),
        words::headline(story),
        words::lede(story),
        numbers(story)
    )
}

/// The four numbers of the generation that serves.
fn numbers(story: &Story) -> String {
    let Some(served) = story.served() else { return String::new() };
    let cell = |class: &str, number: Option<String>, says: &str| {
        let number = number.unwrap_or_else(|| NONE.into());
        format!("<div{class}><dt>{says}</dt><dd>{number}</dd></div>\n")
    };
    let right = |of: &Option<Interval>, says: &str| {
        cell("", share(of).map(percent), &format!("{says}{}", of.and_then(within).unwrap_or_default()))
    };
    [
        "<dl class=numbers>\n".into(),
        cell(
            " class=first",
            served.gain().map(fine_percent),
            "less surprised by texts of yours that it never saw",
        ),
        right(&served.closed_book, "of questions on your notes right without looking anything up"),
        right(&served.open_book, "of them right with your files at hand"),
        cell(
            "",
            measured(served.perplexity_change).map(changed),
            "perplexity of general text, against the model as it came",
        ),
        "</dl>\n".into(),
    ]
    .concat()
}

/// How sure a share is.
fn within(share: Interval) -> Option<String> {
    let percents = |share| Some(number(100.0 * sane(share)?, 0));
    Some(format!(" (95\u{a0}%: {} to {})", percents(share.low)?, percents(share.high)?))
}

pub fn changes(story: &Story) -> String {
    let changes = words::changes(story);
    if changes.is_empty() {
        return String::new();
    }
    let items: Vec<String> = changes.iter().map(|says| format!("<li>{says}</li>\n")).collect();
    format!(
        "<section>\n<h2>What the last night changed</h2>\n<ul class=changes>\n{}</ul>\n</section>\n",
        items.concat()
    )
}

pub fn questions(story: &Story) -> String {
    if story.questions.is_empty() {
        return String::new();
    }
    let now = story.serving.map_or("Now".into(), |number| format!("Generation {number}"));
    let asked: Vec<String> = story.questions.iter().take(QUESTIONS).map(|asked| pair(asked, &now)).collect();
    format!(
        "<section>\n<h2>The same question, before and after</h2>\n\
         <p class=soft>Asked without any of your files at hand.</p>\n{}</section>\n",
        asked.concat()
    )
}

fn pair(asked: &BeforeAfter, now: &str) -> String {
    format!(
        "<article class=asked>\n<h3 dir=auto>{}</h3>\n<dl class=pair>\n\
         <div class=before><dt>As it came</dt><dd dir=auto>{}</dd></div>\n\
         <div class=after><dt>{now}</dt><dd dir=auto>{}</dd></div>\n</dl>\n</article>\n",
        escaped(&asked.question, LONGEST),
        answer(&asked.before),
        answer(&asked.after)
    )
}

fn answer(text: &str) -> String {
    let shown = escaped(text, LONGEST);
    if shown.is_empty() { "<i>(nothing)</i>".into() } else { shown }
}

pub fn generations(story: &Story) -> String {
    if story.generations.is_empty() {
        return String::new();
    }
    let older = story.generations.len().saturating_sub(ROWS) as u64;
    let left_out = match older {
        0 => String::new(),
        older => format!(
            "<p class=soft>{} not shown.</p>\n",
            count(older, "older generation is", "older generations are")
        ),
    };
    let rows: Vec<String> =
        story.generations.iter().rev().take(ROWS).map(|chapter| generation(story, chapter)).collect();
    format!(
        "<section>\n<h2>Every generation</h2>\n<table class=all>\n<caption>The newest first. Surprise is the median of \
         nats a token over texts of yours that were held out; its change is against the model as it came.</caption>\n\
         <thead><tr><th scope=col>No.</th><th scope=col>Surprise</th><th scope=col>Change</th>\
         <th scope=col>Without files</th><th scope=col>With files</th><th scope=col>Distance</th>\
         <th scope=col>General text</th></tr></thead>\n{}</table>\n{left_out}</section>\n",
        rows.concat()
    )
}

fn generation(story: &Story, chapter: &Chapter) -> String {
    let serves = story.serving == Some(chapter.number);
    let class = match (serves, chapter.promoted) {
        (true, _) => " class=now",
        (_, true) => "",
        _ => " class=no",
    };
    let or_none = |shown: Option<String>| shown.unwrap_or_else(|| NONE.into());
    let cells = [
        measured(chapter.nats_after).map(|nats| number(nats, 2)),
        chapter.gain().map(|gain| format!("{}\u{a0}%", signed(-100.0 * gain, 0))),
        share(&chapter.closed_book).map(percent),
        share(&chapter.open_book).map(percent),
        measured(chapter.divergence).map(|away| number(away, 3)),
        measured(chapter.perplexity_change).map(changed),
    ];
    let cells: Vec<String> = cells.into_iter().map(|cell| format!("<td>{}</td>", or_none(cell))).collect();
    format!(
        "<tbody{class}>\n<tr><th scope=row>{}</th>{}</tr>\n<tr><td class=why colspan=7>{}</td></tr>\n</tbody>\n",
        chapter.number,
        cells.concat(),
        verdict(story, chapter, serves)
    )
}

fn verdict(story: &Story, chapter: &Chapter, serves: bool) -> String {
    let state = escaped(&chapter.state, 40);
    let mut says =
        if serves { "<b>answers now</b>".into() } else { format!("<span class=plain>{state}</span>") };
    says += &format!(" · {}", date(story.local(chapter.made)));
    if chapter.scale.is_finite() && chapter.scale < 1.0 {
        says += &format!(" · at scale {}", number(f64::from(chapter.scale), 2));
    }
    if !chapter.reason.is_empty() {
        says += &format!(" · <bdi>{}</bdi>", escaped(&chapter.reason, LONGEST));
    }
    says
}

pub fn kept(story: &Story) -> String {
    format!(
        "<section>\n<h2>What is kept, and how to take it back</h2>\n<div class=kept>\n{}{HOW}</div>\n</section>\n",
        samples(story)
    )
}

/// The commands that lead back.
const HOW: &str = "<dl class=how>
<dt><code>familiar learn history</code></dt><dd>lists every generation with its figures.</dd>
<dt><code>familiar learn rollback</code></dt><dd>goes back to the generation before, at once.</dd>
<dt><code>familiar forget PATH</code></dt><dd>removes a file or a folder from the index, from what is learned, and \
from every generation that saw it. <code>--session ID</code> does so with a conversation, <code>--all</code> with all of it.</dd>
</dl>
";

fn samples(story: &Story) -> String {
    let kept = &story.kept;
    let mut sources: Vec<&(String, u64)> = kept.samples.iter().collect();
    sources.sort_by_key(|(_, n)| std::cmp::Reverse(*n));
    let row = |name: &str, n: u64| format!("<tr><th scope=row>{name}</th><td>{}</td></tr>\n", grouped(n));
    let sum = |of: &[&(String, u64)]| of.iter().fold(0_u64, |sum, (_, n)| sum.saturating_add(*n));
    let mut rows: String = sources
        .iter()
        .take(SOURCES)
        .map(|(name, n)| row(&format!("<bdi>{}</bdi>", escaped(name, 80)), *n))
        .collect();
    if let Some(more) = sources.get(SOURCES..).filter(|more| !more.is_empty()) {
        rows += &row("from other sources", sum(more));
    }
    let measure = row("only to measure, never trained on", kept.held_out);
    let all = sum(&sources).saturating_add(kept.held_out);
    let back = match kept.generations {
        0 => "No generation can be gone back to.".into(),
        n => format!("{} can be gone back to.", count(n, "generation", "generations")),
    };
    let forgotten = match kept.forgotten {
        0 => String::new(),
        n => format!(" {} forgotten at your word.", count(n, "sample was", "samples were")),
    };
    format!(
        "<div>\n<table>\n<caption>Samples on this machine</caption>\n<tbody>\n{rows}{measure}</tbody>\n\
         <tfoot>{}</tfoot>\n</table>\n<p class=soft>{back}{forgotten}</p>\n</div>\n",
        row("all", all).trim_end()
    )
}

pub fn foot() -> String {
    "<footer>\n<p>Nothing on this page is loaded from anywhere, and nothing in it was sent anywhere. It quotes questions and \
     answers of yours: think of that before you pass it on.</p>\n</footer>\n"
        .into()
}
