//! From bytes to something that can be called: only a component of our world, which imports nothing but our
//! interfaces and WASI's. Everything that can be found out without running it is found out here.

use super::bindings::exports::familiar::plugin::tools;
use super::bindings::{Plugin, PluginPre};
use super::call::Running;
use super::{wasi, world};
use wasmtime::Engine;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, ComponentExportIndex, HasSelf, Linker};

/// Bytes of a package that are taken. Python with its standard library is about 40 MB.
pub const FILE_BYTES: u64 = 128 << 20;

/// A component, ready to be made into instances.
pub struct Loaded {
    pub pre: PluginPre<Running>,
    pub describe: Option<ComponentExportIndex>,
    /// Names of our interfaces that it imports.
    pub imports: Vec<String>,
}

/// Compiles a package's bytes; gives the component and its code for the cache.
///
/// # Errors
/// A sentence: what it is, if it is no component, or what is wrong with it.
pub fn compile(engine: &Engine, bytes: &[u8]) -> Result<(Component, Vec<u8>), String> {
    header(bytes)?;
    let wrong = |error: wasmtime::Error| {
        // The innermost is what the validator says, and where; the rest is about modules in modules.
        let cause = error.root_cause().to_string();
        format!("this is no component that can run here: {}", cause.lines().next().unwrap_or_default())
    };
    let component = Component::new(engine, bytes).map_err(wrong)?;
    let code = component.serialize().map_err(wrong)?;
    Ok((component, code))
}

/// What the first eight bytes say (the component model's binary format: magic, version, layer).
fn header(bytes: &[u8]) -> Result<(), String> {
    match bytes {
        [] => Err("the file is empty".into()),
        [b'\0', b'a', b's', b'm', version, 0, layer, 0, ..] => match (version, layer) {
            (_, 1) => Ok(()),
            (1, 0) => Err("this is a core module; a plugin is a component: build it for wasm32-wasip2, or \
                           make it one with `wasm-tools component new`"
                .into()),
            _ => Err("this is WebAssembly of a version that is not known here".into()),
        },
        _ => Err("this is not WebAssembly".into()),
    }
}

/// Checks imports and exports, and ties the imports to ours.
///
/// # Errors
/// A sentence that names what does not fit.
pub fn link(engine: &Engine, component: &Component) -> Result<Loaded, String> {
    let imports = check_imports(engine, component)?;
    check_exports(engine, component)?;
    let mut linker = Linker::new(engine);
    let tied = Plugin::add_to_linker::<_, HasSelf<Running>>(&mut linker, |running| running)
        .and_then(|()| wasi::define(engine, &mut linker, component))
        .and_then(|()| linker.instantiate_pre(component))
        .and_then(PluginPre::new);
    let pre = tied.map_err(|error| {
        // The outermost names the import or export, the innermost what is wrong with it.
        let (outer, cause) = (error.to_string(), error.root_cause().to_string());
        let cause = if cause == outer { String::new() } else { format!(": {cause}") };
        format!("its imports or exports do not fit: {outer}{cause}")
    })?;
    let describe = component
        .get_export_index(None, "familiar:plugin/describe@1.0.0")
        .and_then(|describe| component.get_export_index(Some(&describe), "tools"));
    Ok(Loaded { pre, describe, imports })
}

fn check_imports(engine: &Engine, component: &Component) -> Result<Vec<String>, String> {
    let mut ours = Vec::new();
    for (name, item) in component.component_type().imports(engine) {
        let is_instance = matches!(item.ty, ComponentItem::ComponentInstance(_));
        match world::interface(name) {
            Some(interface) if is_instance => ours.push(interface.known()?),
            _ if is_instance && wasi::is_wasi(name) => {}
            _ => {
                return Err(format!(
                    "it imports `{name}`, which plugins do not have: there are the interfaces of \
                     familiar:plugin {} and those of WASI 0.2",
                    world::VERSION
                ));
            }
        }
    }
    ours.sort();
    Ok(ours)
}

/// One of the exports is `tools` of our package, and its `call` has the type that ours has.
fn check_exports(engine: &Engine, component: &Component) -> Result<(), String> {
    let kind = component.component_type();
    let mut tools = None;
    for (name, item) in kind.exports(engine) {
        let Some(interface) = world::interface(name) else { continue };
        if let ("tools", ComponentItem::ComponentInstance(instance)) = (interface.name, item.ty) {
            interface.known()?;
            tools = Some(instance);
        }
    }
    let tools = tools.ok_or_else(|| {
        format!("it is for another world: it does not export familiar:plugin/tools@{}", world::VERSION)
    })?;
    let call = tools.get_export(engine, "call").map(|item| item.ty);
    let Some(ComponentItem::ComponentFunc(call)) = call else {
        return Err("its familiar:plugin/tools has no function `call`".into());
    };
    type Params<'a> = (&'a str, &'a str, &'a tools::Context);
    type Answer = (Result<tools::Output, tools::ToolError>,);
    call.typecheck::<Params<'_>, Answer>(&kind.instance_type())
        .map_err(|error| format!("its `call` has another type than familiar:plugin/tools says: {error}"))
}
