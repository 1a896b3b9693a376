use super::*;
use expect_test::{expect, expect_file};

const NIGHT: i64 = 86_400;
/// Two in the morning of 8 March 2026, UTC.
const FIRST: i64 = 1_772_935_200;

fn interval(mean: f64, half: f64) -> Option<Interval> {
    Some(Interval { mean, low: (mean - half).max(0.0), high: (mean + half).min(1.0) })
}

/// A loss that falls as losses do, with made-up noise.
fn loss(steps: u64, from: f32, to: f32, seed: u64) -> Vec<(u64, f32)> {
    let mut state = seed;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 40) as f32 / (1 << 24) as f32 - 0.5
    };
    (1..=steps)
        .map(|step| (step, to + (from - to) * (-(step as f32) / 60.0).exp() + 0.16 * noise()))
        .collect()
}

/// A week as it may well go: one night is rejected, one is promoted at three quarters of its strength.
fn week() -> Story {
    let nights = [
        // number, passed, scale, before, after, closed, open, distance, perplexity, samples
        (1, true, 1.0, 3.04, 2.81, 0.22, 0.84, 0.009, 0.001, 64),
        (2, true, 1.0, 3.02, 2.67, 0.36, 0.86, 0.014, 0.002, 121),
        (3, true, 1.0, 3.05, 2.60, 0.44, 0.85, 0.019, 0.001, 187),
        (4, false, 0.5, 3.03, 2.71, 0.41, 0.83, 0.083, 0.034, 240),
        (5, true, 0.75, 3.01, 2.47, 0.51, 0.88, 0.026, 0.004, 263),
        (6, true, 1.0, 3.03, 2.41, 0.57, 0.90, 0.024, 0.002, 341),
        (7, true, 1.0, 3.04, 2.34, 0.63, 0.92, 0.027, 0.0008, 412),
    ];
    let generations = nights.map(|(number, promoted, scale, before, after, closed, open, away, growth, samples)| {
        let reason = if promoted {
            format!(
                "38 of your held-out texts are {:+.3} nats a token likelier than with the model as it came (95 %: \
                 {:+.3} to {:+.3})",
                before - after,
                before - after - 0.09,
                before - after + 0.1
            )
        } else {
            "0.083 nats a token away from the model as it came (at most 0.05); the perplexity of general text changes \
             by +3.4 % (at most +1.0 %)"
                .into()
        };
        Chapter {
            number,
            made: FIRST + i64::from(number - 1) * NIGHT,
            state: if promoted { "promoted" } else { "rejected" }.into(),
            promoted,
            scale,
            reason,
            loss: loss(180 + 20 * u64::from(number), 3.0 - 0.07 * number as f32, 2.4 - 0.1 * number as f32, number.into()),
            nats_before: Some(before),
            nats_after: Some(after),
            closed_book: interval(closed, 0.11),
            open_book: interval(open, 0.08),
            divergence: Some(away),
            perplexity_change: Some(growth),
            samples: vec![("folders".into(), samples - samples / 4), ("corrections".into(), samples / 4)],
            seconds: 1900 + 90 * u64::from(number),
            tokens: 640_000 + 85_000 * u64::from(number),
        }
    });
    let asked = |question: &str, before: &str, after: &str| BeforeAfter {
        question: question.into(),
        before: before.into(),
        after: after.into(),
    };
    Story {
        model: "ember".into(),
        made: FIRST + 6 * NIGHT + 6 * 3600,
        ahead: 60,
        serving: Some(7),
        generations: generations.into(),
        questions: vec![
            asked(
                "Where did we leave the spare key of the boat house?",
                "I do not know where the spare key of the boat house is.",
                "Behind the third slat of the wood store, in the blue tin. You moved it there in October.",
            ),
            asked(
                "Write two lines to Marit that the meeting moves to Thursday.",
                "Dear Marit,\nI am writing to inform you that the meeting has been rescheduled to Thursday.",
                "Marit – we meet on Thursday instead, same place, 14:00.\nAll the best from the workshop, J.",
            ),
            asked(
                "Which glue holds the spruce ribs?",
                "For wood, a common choice is PVA glue.",
                "The resorcinol one, mixed 5:1. The epoxy let go twice in the cold, so you stopped using it.",
            ),
        ],
        bounds: Thresholds::default(),
        kept: Kept {
            samples: vec![
                ("corrections".into(), 103),
                ("folders: ~/notes".into(), 268),
                ("conversations".into(), 41),
            ],
            held_out: 73,
            generations: 5,
            forgotten: 12,
        },
    }
}

/// What is left when tags are taken away, without the style.
fn read_aloud(html: &str) -> String {
    let body = html.split("</style>").last().unwrap();
    let parts: Vec<&str> =
        body.split('<').map(|part| part.split_once('>').map_or(part, |(_, text)| text)).collect();
    let lines: Vec<&str> = parts.iter().flat_map(|part| part.lines()).map(str::trim).collect();
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[test]
fn a_week_is_the_page_that_was_looked_at() {
    expect_file!["../../../tests/report/report.html"].assert_eq(&page(&week()));
}

#[test]
fn headlines_claim_what_was_measured() {
    let story = week();
    let told = |change: fn(&mut Story)| {
        let mut story = story.clone();
        change(&mut story);
        words::headline(&story).replace('\u{a0}', " ")
    };
    expect!["After 7 nights, Familiar predicts your writing 23 % better and lost nothing it could do before"]
        .assert_eq(&told(|_| {}));
    expect!["After 7 nights, Familiar predicts your writing 20 % better and lost hardly anything it could do before"]
        .assert_eq(&told(|story| story.serving = Some(6)));
    expect![
        "After 7 nights, Familiar predicts your writing 11 % better, and lost some of what it could do before"
    ]
    .assert_eq(&told(|story| story.serving = Some(4)));
    expect!["After 7 nights, Familiar predicts your writing a little better"].assert_eq(&told(|story| {
        story.generations[6].nats_after = Some(3.03);
        story.generations[6].divergence = None;
    }));
    expect!["After 7 nights, Familiar predicts your writing no better than before"]
        .assert_eq(&told(|story| story.generations[6].nats_after = Some(3.1)));
    expect!["After 7 nights, generation 7 answers you"]
        .assert_eq(&told(|story| story.generations[6].nats_after = Some(f64::NAN)));
    expect!["After 7 nights, generation 99 answers you"].assert_eq(&told(|story| story.serving = Some(99)));
    expect!["After 7 nights, the model still answers as it came"]
        .assert_eq(&told(|story| story.serving = None));
    expect!["After one night, the model still answers as it came"].assert_eq(&told(|story| {
        story.serving = None;
        // Before and after midnight of one night.
        story.generations.truncate(2);
        (story.generations[0].made, story.generations[1].made) = (FIRST - 4 * 3600, FIRST);
    }));
    expect!["Familiar has not learned from you yet"].assert_eq(&told(|story| *story = Story::default()));
}

#[test]
fn a_rejected_night_is_told_with_its_reason() {
    let mut story = week();
    story.generations.truncate(4);
    story.serving = Some(3);
    let told = words::changes(&story).join("\n").replace('\u{a0}', " ");
    expect![[r#"
        Generation 4, of 11 March 2026, was rejected, so that generation 3 answers you. The gate said: 0.083 nats a token away from the model as it came (at most 0.05); the perplexity of general text changes by +3.4 % (at most +1.0 %).
        Texts of yours that it never saw surprise it 11 % less than the model as it came (generation 3: 15 %).
        Of the questions about your notes it answers 41 % (before: 44 %) right without looking anything up, and 83 % (before: 85 %) with your files at hand.
        On general text its perplexity changed by +3.4 % (at most +1.0 %), and it is 0.083 nats a token away from the model as it came (at most 0.05).
        It trained for 37 min 40 s on 980 000 tokens of 240 samples (<bdi>folders</bdi> 180, <bdi>corrections</bdi> 60)."#]]
    .assert_eq(&told.replace('\u{202f}', " "));
    story.generations.truncate(3);
    story.generations[2].scale = 0.75;
    assert!(words::changes(&story)[0].contains("75\u{a0}% of its strength"));
}

#[test]
fn before_anything_was_learned_the_page_says_so() {
    let html = page(&Story { model: "ember".into(), ..Story::default() });
    expect![[r#"
        What Familiar learned · 1 January 1970
        Familiar has not learned from you yet
        ember
        answers as it came. As soon as you name something that it may learn from, and there is enough of it, it learns while the machine is idle; this page will then show what came of it.
        What is kept, and how to take it back
        Samples on this machine
        only to measure, never trained on
        0
        all
        0
        No generation can be gone back to.
        familiar learn history
        lists every generation with its figures.
        familiar learn rollback
        goes back to the generation before, at once.
        familiar forget PATH
        removes a file or a folder from the index, from what is learned, and from every generation that saw it.
        --session ID
        does so with a conversation,
        --all
        with all of it.
        Nothing on this page is loaded from anywhere, and nothing in it was sent anywhere. It quotes questions and answers of yours: think of that before you pass it on."#]]
    .assert_eq(&read_aloud(&html).replace('\u{a0}', " "));
}

/// Names of all elements and attributes, which must be those of an honest page whatever the texts are.
fn skeleton(html: &str) -> std::collections::BTreeSet<String> {
    let tags = html.split('<').skip(1).filter_map(|part| part.split_once('>')).map(|(tag, _)| tag);
    tags.flat_map(|tag| {
        let name = tag.split([' ', '/']).next().unwrap().to_owned();
        let attributes = tag.split('"').step_by(2).flat_map(|plain| plain.split(' '));
        attributes
            .filter_map(|word| Some(word.split_once('=')?.0.to_owned()))
            .chain([name])
            .collect::<Vec<_>>()
    })
    .collect()
}

#[test]
fn hostile_texts_are_shown_and_nothing_more() {
    let honest = skeleton(&page(&week()));
    for hostile in [
        "<script>alert(1)</script><img src=x onerror=y>",
        "\"><iframe src='http://evil'></iframe>",
        "</title></style></svg><base href=//evil>",
        "&lt;b&gt; &#x3c;script&#x3e;",
        "\u{202e}gnp.exe\u{2066}\u{200f}\u{0}\u{1}\u{7f}\u{85}\u{1b}]0;x\u{7}",
        "]]><!-- -->{{7*7}}${x}",
    ] {
        let mut story = week();
        story.model = hostile.into();
        story.questions[0] =
            BeforeAfter { question: hostile.into(), before: hostile.into(), after: hostile.into() };
        story.kept.samples.push((hostile.into(), 1));
        for chapter in &mut story.generations {
            (chapter.state, chapter.reason, chapter.promoted) = (hostile.into(), hostile.into(), false);
            chapter.samples = vec![(hostile.into(), u64::MAX), (hostile.into(), 7)];
        }
        let html = page(&story);
        let more: Vec<_> = skeleton(&html).difference(&honest).cloned().collect();
        assert!(more.is_empty(), "{more:?}");
        let harmful = |c: char| (c.is_control() && c != '\n') || ('\u{202a}'..='\u{202e}').contains(&c);
        assert!(!html.contains(harmful), "{hostile:?}");
    }
}

#[test]
fn however_long_the_story_the_page_stays_small() {
    let long = "word<".repeat(200_000);
    let mut story = week();
    story.questions =
        vec![BeforeAfter { question: long.clone(), before: long.clone(), after: long.clone() }; 50];
    story.model = long.clone();
    story.kept.samples = vec![(long.clone(), 1); 1000];
    let chapter = Chapter {
        reason: long.clone(),
        state: long.clone(),
        loss: (0..50_000).map(|step| (step, 1.0)).collect(),
        ..story.generations[6].clone()
    };
    story.generations = (1..=1000)
        .map(|number| Chapter {
            number,
            loss: if number > 995 { chapter.loss.clone() } else { vec![] },
            ..short(&chapter)
        })
        .collect();
    story.generations[999].reason = long;
    let html = page(&story);
    assert!(html.len() < 600_000, "{}", html.len());
    assert!(html.contains("900\u{a0}older generations are not shown"));
}

/// Without its long texts.
fn short(chapter: &Chapter) -> Chapter {
    Chapter { reason: "word<".repeat(500), state: "promoted".into(), loss: Vec::new(), ..chapter.clone() }
}

#[test]
fn numbers_that_are_none_are_shown_as_not_measured() {
    for odd in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, 1e300, -0.0] {
        let mut story = week();
        let all = Some(Interval { mean: odd, low: odd, high: odd });
        for chapter in &mut story.generations {
            (chapter.nats_before, chapter.nats_after) = (Some(odd), Some(odd));
            (chapter.divergence, chapter.perplexity_change) = (Some(odd), Some(odd));
            (chapter.closed_book, chapter.open_book, chapter.scale) = (all, all, odd as f32);
            chapter.loss = vec![(0, odd as f32), (u64::MAX, 1.0), (3, f32::NAN)];
            (chapter.made, chapter.seconds, chapter.tokens) = (i64::MAX, u64::MAX, u64::MAX);
        }
        story.made = i64::MIN;
        story.ahead = i32::MIN;
        story.bounds = Thresholds { divergence: odd, perplexity: odd, ..Thresholds::default() };
        let html = page(&story);
        let shown = read_aloud(&html);
        assert!(!shown.contains("NaN") && !shown.contains("inf\n") && !html.contains("\"NaN"), "{shown}");
    }
    let mut empty = week();
    for chapter in &mut empty.generations {
        *chapter = Chapter { number: chapter.number, ..Chapter::default() };
    }
    let shown = read_aloud(&page(&empty));
    assert!(shown.contains("There is nothing to draw yet."), "{shown}");
}

#[test]
fn the_page_needs_nothing_from_elsewhere() {
    let html = page(&week());
    assert!(html.contains("content=\"default-src 'none'; style-src 'unsafe-inline';"));
    for outside in ["http:", "https:", "url(", "@import", "<script", "<link", "<img", " src=", " href="] {
        assert!(!html.contains(outside), "{outside}");
    }
    // Ids are given once, and each chart names its title and its description.
    let ids: Vec<&str> = html.split(" id=").skip(1).filter_map(|rest| rest.split('>').next()).collect();
    let unlike: std::collections::BTreeSet<_> = ids.iter().collect();
    assert_eq!(unlike.len(), ids.len());
    assert_eq!(ids.len(), 2 * html.matches("<svg").count());
}
