use super::*;
use crate::random::Stream;
use proptest::prelude::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// Linears of a model of two blocks: 2 heads of 8 for queries, 1 for keys.
const LINEARS: [(usize, Target, usize, usize); 5] = [
    (0, Target::Q, 12, 16),
    (0, Target::K, 12, 8),
    (0, Target::Down, 20, 12),
    (1, Target::Q, 12, 16),
    (1, Target::O, 16, 12),
];
const HEADS: Heads<'_> = Heads { architecture: "llama", heads: 2, kv_heads: 1 };

fn adapter(rank: usize, scale: f32, seed: u64) -> Adapter {
    let mut adapter = Adapter::zeros(rank, 6.0, scale, LINEARS);
    let mut stream = Stream::new(seed);
    adapter.values.iter_mut().for_each(|value| *value = stream.signed());
    adapter
}

fn meta() -> Meta {
    Meta {
        architecture: "llama".into(),
        base: "b".repeat(64),
        generation: 3,
        manifest: "d".repeat(64),
        recipe: serde_json::json!({"rank": 3, "rate": 2e-4}),
    }
}

/// `scale * B A` of one linear, zeros where there are no factors.
fn delta(adapter: &Adapter, block: usize, target: Target, size: usize) -> Vec<f64> {
    let Some(site) = adapter.site(block, target) else { return vec![0.0; size] };
    let value = |at: usize| f64::from(adapter.values[at]);
    let product = |(o, i): (usize, usize)| -> f64 {
        (0..adapter.rank)
            .map(|r| value(site.b + o * adapter.rank + r) * value(site.a + r * site.inputs + i))
            .sum()
    };
    let all = (0..site.outputs).flat_map(|o| (0..site.inputs).map(move |i| (o, i)));
    all.map(|at| f64::from(adapter.scale) * product(at)).collect()
}

fn saved(adapter: &Adapter) -> (TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("adapter.gguf");
    save(adapter, &meta(), &path).unwrap();
    (folder, path)
}

#[test]
fn a_saved_adapter_is_read_back_as_it_was() {
    let adapter = adapter(3, 2.0, 1);
    let (folder, path) = saved(&adapter);
    assert_eq!(load(&path).unwrap(), (adapter, meta()));
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_rank_stabilized_scale_is_kept() {
    let stabilized = adapter(4, 6.0 / 2.0, 1);
    let (_folder, path) = saved(&stabilized);
    let (read, _) = load(&path).unwrap();
    assert_eq!((read.alpha, read.scale), (6.0, 3.0));
}

#[test]
fn a_save_that_fails_leaves_what_was_there() {
    let (folder, path) = saved(&adapter(3, 2.0, 1));
    let before = std::fs::read(&path).unwrap();
    // A folder stands where the file should go: the rename fails after all was written.
    let taken = folder.path().join("taken");
    std::fs::create_dir(&taken).unwrap();
    assert!(matches!(save(&adapter(3, 2.0, 2), &meta(), &taken), Err(AdapterError::Io(_))));
    assert!(save(&adapter(3, 2.0, 2), &meta(), &folder.path().join("no/such.gguf")).is_err());
    assert_eq!(std::fs::read(&path).unwrap(), before);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn another_base_is_refused_in_words() {
    meta().check_base(&"b".repeat(64)).unwrap();
    let error = meta().check_base(&"c".repeat(64)).unwrap_err().to_string();
    assert!(error.contains("bbbbbbbbbbbb...") && error.contains("cccccccccccc..."), "{error}");
    assert!(error.contains("another model"), "{error}");
}

#[test]
fn a_truncated_file_is_an_error() {
    let (_folder, path) = saved(&adapter(3, 2.0, 1));
    let bytes = std::fs::read(&path).unwrap();
    for length in (0..bytes.len()).step_by(97).chain([bytes.len() - 1]) {
        std::fs::write(&path, &bytes[..length]).unwrap();
        assert!(load(&path).is_err(), "{length} of {} bytes", bytes.len());
    }
}

/// What `load` says of an adapter file with these tensors.
fn refusal(tensors: &[(&str, [u64; 2], f32)]) -> String {
    let start = familiar_gguf::Writer::default()
        .text("general.type", "adapter")
        .text("general.architecture", "llama")
        .text("adapter.type", "lora")
        .f32("adapter.lora.alpha", 6.0)
        .f32("familiar.adapter.alpha", 6.0)
        .text("familiar.adapter.base", "b")
        .u32("familiar.adapter.generation", 1)
        .text("familiar.adapter.manifest", "d")
        .text("familiar.adapter.recipe", "{}");
    let writer = tensors.iter().fold(start, |writer, (name, shape, value)| {
        writer.tensor(name, shape, vec![*value; (shape[0] * shape[1]) as usize])
    });
    let folder = tempfile::tempdir().unwrap();
    let path = writer.write(folder.path(), "adapter").unwrap();
    load(&path).unwrap_err().to_string()
}

#[test]
fn halves_shapes_ranks_and_values_are_checked() {
    let a = ("blk.0.attn_q.weight.lora_a", [12, 3], 1.0);
    let b = ("blk.0.attn_q.weight.lora_b", [3, 16], 1.0);
    assert!(refusal(&[]).contains("holds no factors"));
    assert!(refusal(&[a]).contains("`blk.0.attn_q.weight.lora_a` has no other half"));
    assert!(refusal(&[b]).contains("`blk.0.attn_q.weight.lora_b` has no other half"));
    assert!(refusal(&[a, (b.0, [4, 16], 1.0)]).contains("is of rank 4 and others are of rank 3"));
    let other = [("blk.1.attn_q.weight.lora_a", [12, 2], 1.0), ("blk.1.attn_q.weight.lora_b", [2, 16], 1.0)];
    assert!(refusal(&[a, b, other[0], other[1]]).contains("is of rank 2"));
    assert!(refusal(&[a, (b.0, b.1, f32::NAN)]).contains("lora_b` holds NaN"));
    assert!(refusal(&[(a.0, a.1, f32::INFINITY), b]).contains("lora_a` holds inf"));
    assert!(refusal(&[a, b, a]).contains("stands twice"));
    for strange in ["blk.0.attn_q.weight", "blk.00.attn_q.weight.lora_a", "token_embd.weight.lora_a"] {
        assert!(refusal(&[a, b, (strange, [12, 3], 1.0)]).contains("is no factor"), "{strange}");
    }
}

#[test]
fn what_is_no_adapter_of_ours_is_said() {
    let folder = tempfile::tempdir().unwrap();
    let refusal = |writer: familiar_gguf::Writer| {
        load(&writer.write(folder.path(), "x").unwrap()).unwrap_err().to_string()
    };
    let empty = familiar_gguf::Writer::default;
    assert!(refusal(empty().text("general.architecture", "llama")).contains("its general.type is nothing"));
    let adapter = || empty().text("general.type", "adapter");
    assert!(refusal(adapter().text("adapter.type", "control\nvector")).contains("control\\nvector"));
    let foreign = adapter().text("adapter.type", "lora").text("general.architecture", "llama");
    assert!(refusal(foreign).contains("not made by Familiar"));
    let (_folder, path) = saved(&Adapter { scale: 0.0, ..self::adapter(3, 2.0, 1) });
    assert!(load(&path).unwrap_err().to_string().contains("adapter.lora.alpha is 0"));
}

#[test]
fn an_adapter_must_fit_its_model() {
    let adapter = adapter(3, 2.0, 1);
    check_fits(&adapter, &LINEARS).unwrap();
    let error = check_fits(&adapter, &LINEARS[..4]).unwrap_err().to_string();
    assert!(error.contains("it has no blk.1.attn_output"), "{error}");
    let mut wider = LINEARS;
    wider[0].2 = 13;
    let error = check_fits(&adapter, &wider).unwrap_err().to_string();
    assert!(error.contains("its blk.0.attn_q is 13 to 16, the adapter's is 12 to 16"), "{error}");
}

#[test]
fn peft_and_back_is_the_same_adapter() {
    for architecture in ["llama", "qwen3"] {
        let heads = Heads { architecture, ..HEADS };
        let folder = tempfile::tempdir().unwrap();
        let adapter = adapter(3, 2.0, 1);
        export(&adapter, heads, "some/model", folder.path()).unwrap();
        let read = import(folder.path(), heads, &LINEARS).unwrap();
        assert_eq!((&read.sites, &read.values), (&adapter.sites, &adapter.values));
        assert_eq!(read.scale, 2.0);
    }
}

fn exported() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    export(&adapter(3, 2.0, 1), HEADS, "some/model", folder.path()).unwrap();
    folder
}

/// What `import` says when a key of the config is changed.
fn refused(key: &str, value: serde_json::Value) -> String {
    let folder = exported();
    let path = folder.path().join("adapter_config.json");
    let mut config: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    config[key] = value;
    std::fs::write(&path, config.to_string()).unwrap();
    import(folder.path(), HEADS, &LINEARS).unwrap_err().to_string()
}

#[test]
fn a_peft_folder_is_not_written_over_and_a_link_to_a_device_is_no_file() {
    let folder = exported();
    let again = export(&adapter(3, 2.0, 1), HEADS, "some/model", folder.path()).unwrap_err().to_string();
    assert!(again.contains("adapter_model.safetensors is there already"), "{again}");
    for name in ["adapter_model.safetensors", "adapter_config.json"] {
        let folder = exported();
        std::fs::remove_file(folder.path().join(name)).unwrap();
        std::os::unix::fs::symlink("/dev/zero", folder.path().join(name)).unwrap();
        let error = import(folder.path(), HEADS, &LINEARS).unwrap_err().to_string();
        assert!(error.contains(name) && error.contains("is not a regular file"), "{error}");
    }
}

#[test]
fn an_adapter_that_holds_no_numbers_is_not_written() {
    let (_folder, path) = saved(&adapter(3, 2.0, 1));
    let before = std::fs::read(&path).unwrap();
    for wrong in [f32::NAN, f32::INFINITY] {
        let mut broken = adapter(3, 2.0, 1);
        broken.values[broken.sites[1].b] = wrong;
        let error = save(&broken, &meta(), &path).unwrap_err().to_string();
        assert!(error.contains("`blk.0.attn_k`"), "{error}");
        assert_eq!(std::fs::read(&path).unwrap(), before);
    }
}

#[test]
fn what_peft_has_beyond_lora_is_refused() {
    use serde_json::json;
    assert!(refused("peft_type", json!("IA3")).contains("its peft_type is \"IA3\""));
    assert!(refused("use_dora", json!(true)).contains("`use_dora` = true"));
    assert!(refused("bias", json!("all")).contains("`bias`"));
    assert!(refused("modules_to_save", json!(["lm_head"])).contains("modules_to_save"));
    assert!(refused("rank_pattern", json!({"q_proj": 4})).contains("rank_pattern"));
    assert!(refused("r", json!(4)).contains("its factors are of rank 3"));
    assert!(refused("lora_alpha", json!("much")).contains("lora_alpha"));
    assert!(refused("lora_alpha", json!(0)).contains("lora_alpha"));
}

#[test]
fn a_rank_stabilized_peft_adapter_has_its_scale() {
    let folder = exported();
    let path = folder.path().join("adapter_config.json");
    let text =
        std::fs::read_to_string(&path).unwrap().replace("\"use_rslora\": false", "\"use_rslora\": true");
    std::fs::write(&path, text).unwrap();
    let scale = import(folder.path(), HEADS, &LINEARS).unwrap().scale;
    assert!((scale - 6.0 / 3f32.sqrt()).abs() < 1e-6, "{scale}");
}

#[test]
fn a_peft_adapter_of_another_model_is_refused() {
    let folder = exported();
    let refused = |heads, linears: &[_]| import(folder.path(), heads, linears).unwrap_err().to_string();
    assert!(refused(HEADS, &LINEARS[1..]).contains("it has no blk.0.attn_q"));
    let many = Heads { heads: 5, ..HEADS };
    assert!(refused(many, &LINEARS).contains("has 16 rows, which 5 heads do not share evenly"));
}

#[test]
fn a_merged_adapter_changes_what_its_parts_change_together() {
    let (one, mut two) = (adapter(3, 2.0, 1), adapter(2, 0.5, 2));
    two.sites.remove(1);
    let meta = meta();
    let parts = [(&one, 0.7), (&two, -1.5)].map(|(adapter, weight)| Part { adapter, meta: &meta, weight });
    let merged = merge(&parts).unwrap();
    assert_eq!(merged.rank, 5);
    for (block, target, inputs, outputs) in LINEARS {
        let size = inputs * outputs;
        let [a, b, sum] = [&one, &two, &merged].map(|adapter| delta(adapter, block, target, size));
        let worst = (0..size).map(|i| (0.7f32 as f64 * a[i] - 1.5 * b[i] - sum[i]).abs()).fold(0.0, f64::max);
        assert!(worst < 1e-6, "{worst} at blk.{block} {target:?}");
    }
}

#[test]
fn what_does_not_belong_together_is_not_merged() {
    let (one, two) = (adapter(3, 2.0, 1), adapter(2, 0.5, 2));
    let ours = meta();
    let part = |adapter, meta| Part { adapter, meta, weight: 1.0 };
    let other = Meta { base: "c".repeat(64), ..meta() };
    assert!(matches!(merge(&[part(&one, &ours), part(&two, &other)]), Err(AdapterError::DifferentBases)));
    assert!(matches!(merge(&[]), Err(AdapterError::NothingToMerge)));
    let wider = Adapter::zeros(1, 1.0, 1.0, [(0, Target::Q, 13, 16)]);
    assert!(matches!(merge(&[part(&one, &ours), part(&wider, &ours)]), Err(AdapterError::Unfit(_))));
}

/// Changes bytes of a file; near the start more often, where the headers are.
fn mutated(path: &Path, changes: &[(usize, u8)]) {
    let mut bytes = std::fs::read(path).unwrap();
    for (at, byte) in changes {
        let length = bytes.len();
        let at = if at % 3 == 0 { at % length } else { at % length.min(900) };
        bytes[at] = *byte;
    }
    std::fs::write(path, bytes).unwrap();
}

fn sound(adapter: &Adapter) -> bool {
    adapter.values.iter().all(|value| value.is_finite()) && adapter.scale.is_finite() && adapter.scale != 0.0
}

proptest! {
    #[test]
    fn a_changed_file_is_read_or_refused(changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6)) {
        let (_folder, path) = saved(&adapter(3, 2.0, 1));
        mutated(&path, &changes);
        if let Ok((adapter, _)) = load(&path) {
            prop_assert!(sound(&adapter));
        }
    }

    #[test]
    fn a_changed_peft_folder_is_read_or_refused(
        changes in prop::collection::vec((any::<usize>(), any::<u8>()), 1..6),
        config in any::<bool>(),
    ) {
        let folder = exported();
        mutated(&folder.path().join(if config { "adapter_config.json" } else { "adapter_model.safetensors" }), &changes);
        if let Ok(adapter) = import(folder.path(), HEADS, &LINEARS) {
            prop_assert!(sound(&adapter));
        }
    }
}
