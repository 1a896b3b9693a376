use super::*;
use crate::synth::{self, Quantization, Shape};
use familiar_gguf::Gguf;
use proptest::prelude::*;
use std::sync::atomic::Ordering;

fn gguf() -> Gguf {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("tiny.gguf");
    synth::write(&Shape::tiny("llama"), Quantization::F32, 3, &path).unwrap();
    Gguf::open(&path).unwrap()
}

fn recipe() -> Recipe {
    Recipe { rank: 4, learning_rate: 1e-2, epochs: 3, tokens: 48, accumulate: 2, ..Recipe::default() }
}

fn examples() -> Vec<Example> {
    let example = |n: u32| {
        let tokens: Vec<u32> = (0..16).map(|i| 3 + (n * 31 + i * 7 + n * i) % 90).collect();
        Example {
            weights: (0..16).map(|i| if i < 4 { 0.0 } else { 1.0 }).collect(),
            tokens,
            kl: 0.0,
            avoid: false,
            teacher: None,
        }
    };
    (0..9).map(example).collect()
}

fn session<'a>(model: &'a Model<'a>, recipe: Recipe, examples: Vec<Example>) -> Session<'a> {
    Session::new(model, recipe, examples, Precision::F32, Keep::Inside).unwrap()
}

fn go() -> Arc<AtomicBool> {
    Arc::default()
}

fn run(session: &mut Session<'_>) -> Vec<f32> {
    let mut losses = Vec::new();
    while session.step() < session.steps() {
        if let Report::Step(step) = session.micro_batch(&go()).unwrap() {
            losses.push(step.loss);
        }
    }
    losses
}

fn saved(session: &Session<'_>) -> Vec<u8> {
    let mut state = Vec::new();
    session.save(&mut state).unwrap();
    state
}

#[test]
fn what_is_shown_is_learned() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let mut session = session(&model, Recipe { epochs: 60, floor: 0.0, ..recipe() }, examples());
    let losses = run(&mut session);
    assert!(losses[losses.len() - 1] < 0.3 * losses[0], "{losses:?}");
    let after = session.evaluate(&examples(), &go()).unwrap();
    assert!(after < 0.3 * f64::from(losses[0]), "{after}");
}

#[test]
fn a_run_restored_at_any_border_ends_where_the_whole_one_does() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let recipe = Recipe { dropout: 0.1, ..recipe() };
    let mut whole = session(&model, recipe.clone(), examples());
    let losses = run(&mut whole);
    let borders = whole.plan.len();
    assert!(borders >= 6 && whole.steps() >= 3);
    for border in 0..borders {
        let mut first = session(&model, recipe.clone(), examples());
        for _ in 0..border {
            first.micro_batch(&go()).unwrap();
        }
        let mut second = session(&model, recipe.clone(), examples()).restore(&saved(&first)).unwrap();
        assert_eq!((second.step(), second.steps()), (first.step(), first.steps()));
        let rest = run(&mut second);
        assert_eq!(rest, losses[losses.len() - rest.len()..]);
        assert_eq!(second.adapter(), whole.adapter(), "from border {border}");
    }
}

#[test]
fn a_stopped_micro_batch_leaves_no_trace() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let mut one = session(&model, recipe(), examples());
    let stop = go();
    stop.store(true, Ordering::Relaxed);
    let before = saved(&one);
    assert_eq!(one.micro_batch(&stop).unwrap(), Report::Stopped);
    assert!(one.whole());
    assert_eq!(saved(&one), before);
    // Within a step, before its backward pass, neither.
    one.micro_batch(&go()).unwrap();
    let before = saved(&one);
    assert_eq!(one.micro_batch(&stop).unwrap(), Report::Stopped);
    assert!(one.whole());
    assert_eq!(saved(&one), before);
}

#[test]
fn a_run_stopped_at_any_moment_is_as_it_was_or_says_that_it_is_not() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let mut torn = 0;
    for wait in 0..200 {
        let mut one = session(&model, recipe(), examples());
        one.micro_batch(&go()).unwrap();
        let (before, stop) = (saved(&one), go());
        let report = std::thread::scope(|scope| {
            scope.spawn(|| {
                (0..wait * 500).for_each(|_| std::hint::spin_loop());
                stop.store(true, Ordering::Relaxed);
            });
            one.micro_batch(&stop).unwrap()
        });
        match (report, one.whole()) {
            (Report::Stopped, true) => assert_eq!(saved(&one), before),
            (Report::Stopped, false) => torn += 1,
            (_, whole) => assert!(whole),
        }
    }
    println!("stopped in the backward pass {torn} times of 200");
}

#[test]
fn steps_that_are_not_finite_are_skipped_and_end_the_run_when_they_repeat() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    for value in [f32::NAN, 1e38] {
        let mut one = session(&model, Recipe { max_skipped: 2, accumulate: 1, ..recipe() }, examples());
        let mut broken = one.adapter().clone();
        broken.values.fill(value);
        one.start_from(broken.clone()).unwrap();
        let Report::Step(step) = one.micro_batch(&go()).unwrap() else { panic!("a step") };
        assert!(step.skipped);
        assert_eq!(one.skipped(), 1);
        assert_eq!(one.adapter().values.len(), broken.values.len());
        let error = one.micro_batch(&go()).unwrap_err();
        assert!(error.to_string().starts_with("2 steps in a row"), "{error}");
        assert!(one.adapter().values.iter().zip(&broken.values).all(|(a, b)| a.to_bits() == b.to_bits()));
    }
}

#[test]
fn numbers_at_the_ends_of_their_range_leave_an_adapter_of_numbers() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let weighted = |weight: f32| {
        let mut examples = examples();
        examples.iter_mut().for_each(|example| example.weights.iter_mut().for_each(|w| *w = weight));
        examples
    };
    // Too small to divide by, too large to square.
    for (weight, clip) in [(1e-44, 1.0), (1e30, 0.0)] {
        let start = || session(&model, Recipe { clip, max_skipped: 100, ..recipe() }, weighted(weight));
        let mut whole = start();
        run(&mut whole);
        start().restore(&saved(&whole)).unwrap();
    }
}

#[test]
fn a_state_past_the_end_of_a_short_last_step_is_refused() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let recipe = Recipe { accumulate: 4, epochs: 1, ..recipe() };
    let mut first = session(&model, recipe.clone(), examples());
    assert!(!first.plan.len().is_multiple_of(4), "a last step of fewer micro-batches");
    first.micro_batch(&go()).unwrap();
    let mut state = saved(&first);
    state[8..16].copy_from_slice(&(first.steps() - 1).to_le_bytes());
    state[16..24].copy_from_slice(&3u64.to_le_bytes());
    let refused = session(&model, recipe, examples()).restore(&state);
    assert!(matches!(refused, Err(TrainError::State(_))));
}

#[test]
fn a_run_saved_within_a_step_that_will_be_skipped_goes_on() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let new = || session(&model, Recipe { tokens: 16, accumulate: 2, ..recipe() }, examples());
    let mut one = new();
    let mut broken = one.adapter().clone();
    broken.values.fill(1e38);
    one.start_from(broken).unwrap();
    assert_eq!(one.micro_batch(&go()).unwrap(), Report::Part);
    let mut other = new().restore(&saved(&one)).unwrap();
    let Report::Step(step) = other.micro_batch(&go()).unwrap() else { panic!("a step") };
    assert!(step.skipped);
}

#[test]
fn replay_holds_the_model_to_its_base() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let replay = |mut example: Example| {
        example.kl = 1.0;
        example
    };
    // Nothing has changed yet: no divergence, and nothing to learn from.
    let mut alone = session(&model, recipe(), examples().into_iter().map(replay).collect());
    let losses = run(&mut alone);
    assert!(losses.iter().all(|loss| loss.abs() < 1e-5), "{losses:?}");

    // An adapter far away comes back.
    let mut far =
        session(&model, Recipe { epochs: 40, ..recipe() }, examples().into_iter().map(replay).collect());
    let mut adapter = far.adapter().clone();
    adapter.values.iter_mut().enumerate().for_each(|(i, value)| *value += 0.1 * (i as f32).sin());
    far.start_from(adapter).unwrap();
    let losses = run(&mut far);
    assert!(losses[losses.len() - 1] < 0.4 * losses[0] && losses[0] > 0.05, "{losses:?}");
}

#[test]
fn replayed_and_learned_examples_share_a_batch() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let mut mixed = examples();
    mixed.iter_mut().step_by(2).for_each(|example| example.kl = 0.5);
    let mut session = session(&model, Recipe { epochs: 1, accumulate: 8, ..recipe() }, mixed.clone());
    let first = run(&mut session)[0];
    // With an adapter that changes nothing, only the others have a loss.
    let fresh = self::session(&model, recipe(), mixed.clone());
    let learned: Vec<Example> = mixed.into_iter().filter(|example| example.kl == 0.0).collect();
    let expected = fresh.evaluate(&learned, &go()).unwrap() * learned.len() as f64 / 9.0;
    assert!((f64::from(first) - expected).abs() < 1e-4 * expected, "{first}, {expected}");
}

#[test]
fn a_teacher_with_more_to_read_teaches_the_model_without() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let mut distilled = examples();
    for (n, example) in distilled.iter_mut().enumerate() {
        example.teacher = Some((0..10).map(|i| 5 + (n as u32 * 13 + i * 11) % 80).collect());
    }
    let mut session =
        session(&model, Recipe { epochs: 60, floor: 0.0, teacher_top: 100, ..recipe() }, distilled);
    let losses = run(&mut session);
    // What is left is the teacher's own entropy.
    let taught = session.taught.values().flatten();
    let entropy = |goals: &Vec<(u32, f32)>| goals.iter().map(|(_, p)| -p * p.max(1e-30).ln()).sum::<f32>();
    let floor = taught.clone().map(entropy).sum::<f32>() / taught.count() as f32;
    let (first, last) = (losses[0] - floor, losses[losses.len() - 1] - floor);
    assert!(last < 0.3 * first && last > -0.05, "{first} {last} above {floor}");
}

#[test]
fn broken_examples_are_named() {
    let gguf = gguf();
    let model = Model::open(&gguf).unwrap();
    let refused = |change: &dyn Fn(&mut Vec<Example>)| {
        let mut examples = examples();
        change(&mut examples);
        Session::new(&model, recipe(), examples, Precision::F32, Keep::Borders).err().unwrap().to_string()
    };
    assert!(refused(&|all| all.clear()).starts_with("there is nothing to learn"));
    assert!(refused(&|all| all[2].weights.fill(0.0)).starts_with("example 2 is broken"));
    assert!(refused(&|all| all[1].weights[5] = f32::NAN).contains("negative or not a number"));
    assert!(refused(&|all| all[1].weights[5] = -1.0).contains("negative or not a number"));
    assert!(refused(&|all| all[1].kl = f32::INFINITY).contains("negative or not a number"));
    assert!(refused(&|all| all[0].tokens[0] = 1 << 30).contains("the token 1073741824"));
    assert!(refused(&|all| all[0].teacher = Some(vec![])).contains("its teacher has no text"));
    assert!(refused(&|all| all[0].weights.truncate(15)).contains("not as many weights as tokens"));
    let recipe = Recipe { targets: vec![], ..recipe() };
    assert!(Session::new(&model, recipe, examples(), Precision::F32, Keep::Borders).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn a_changed_state_is_refused_or_read_but_never_a_panic(at in 0usize..200, byte: u8, cut in 0usize..4000) {
        let gguf = gguf();
        let model = Model::open(&gguf).unwrap();
        let mut state = saved(&session(&model, recipe(), examples()));
        state[at] = byte;
        state.truncate(state.len() - cut % 3 * cut);
        if let Ok(mut session) = session(&model, recipe(), examples()).restore(&state)
            && session.step() < session.steps()
        {
            let _ = session.micro_batch(&go());
        }
    }
}
