//! Arguments of the right types, or the error that D-Bus has for others. zbus answers wrong ones with an error of its
//! own; this stands before an interface and compares the signature first, with the interface's own introspection.

use std::collections::HashMap;
use std::fmt::Write;
use zbus::export::async_trait::async_trait;
use zbus::fdo;
use zbus::message::{Header, Message};
use zbus::names::{InterfaceName, MemberName};
use zbus::object_server::{DispatchResult2, Interface, SignalEmitter};
use zbus::zvariant::{OwnedValue, Value};
use zbus::{Connection, ObjectServer};

/// An interface whose methods are called with their own types of arguments alone.
pub struct Strict<I> {
    inner: I,
    /// Methods and the signatures of their arguments.
    methods: HashMap<String, String>,
}

impl<I: Interface> Strict<I> {
    pub fn new(inner: I) -> Strict<I> {
        let mut xml = String::new();
        inner.introspect_to_writer(&mut xml, 0);
        Strict { inner, methods: methods(&xml) }
    }

    /// What is wrong with the arguments of a call.
    fn wrong(&self, message: &Message, name: &MemberName<'_>) -> Option<fdo::Error> {
        let wanted = self.methods.get(name.as_str())?;
        let body = message.body();
        let found = body.signature().to_string_no_parens();
        let say = || format!("{name} takes arguments of the types \"{wanted}\", not \"{found}\"");
        (found != *wanted).then(|| fdo::Error::InvalidArgs(say()))
    }
}

/// The methods of an introspection, which zbus writes one element a line.
fn methods(xml: &str) -> HashMap<String, String> {
    let attribute = |line: &str, name: &str| {
        let (_, rest) = line.split_once(&format!("{name}=\""))?;
        rest.split_once('"').map(|(value, _)| value.to_owned())
    };
    let mut methods: HashMap<String, String> = HashMap::new();
    let mut method = None;
    for line in xml.lines().map(str::trim) {
        if line.starts_with("<method ") {
            method = attribute(line, "name");
            methods.extend(method.clone().map(|name| (name, String::new())));
        } else if line.starts_with("<signal ") || line.starts_with("<property ") {
            method = None;
        } else if line.starts_with("<arg ") && attribute(line, "direction").as_deref() == Some("in") {
            let known = method.as_ref().and_then(|name| methods.get_mut(name));
            if let (Some(types), Some(more)) = (known, attribute(line, "type")) {
                types.push_str(&more);
            }
        }
    }
    methods
}

#[async_trait]
impl<I: Interface> Interface for Strict<I> {
    fn name() -> InterfaceName<'static> {
        I::name()
    }

    async fn get(
        &self,
        property: &str,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<fdo::Result<OwnedValue>> {
        self.inner.get(property, server, connection, header, emitter).await
    }

    async fn get_all(
        &self,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> fdo::Result<HashMap<String, OwnedValue>> {
        self.inner.get_all(server, connection, header, emitter).await
    }

    fn set<'call>(
        &'call self,
        property: &'call str,
        value: &'call Value<'_>,
        server: &'call ObjectServer,
        connection: &'call Connection,
        header: Option<&'call Header<'_>>,
        emitter: &'call SignalEmitter<'_>,
    ) -> DispatchResult2<'call> {
        self.inner.set(property, value, server, connection, header, emitter)
    }

    async fn set_mut(
        &mut self,
        property: &str,
        value: &Value<'_>,
        server: &ObjectServer,
        connection: &Connection,
        header: Option<&Header<'_>>,
        emitter: &SignalEmitter<'_>,
    ) -> Option<fdo::Result<()>> {
        self.inner.set_mut(property, value, server, connection, header, emitter).await
    }

    fn call<'call>(
        &'call self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult2<'call> {
        match self.wrong(message, &name) {
            Some(error) => {
                DispatchResult2::new_async(connection, message, async move { Err::<(), _>(error) })
            }
            None => self.inner.call(server, connection, message, name),
        }
    }

    fn call_mut<'call>(
        &'call mut self,
        server: &'call ObjectServer,
        connection: &'call Connection,
        message: &'call Message,
        name: MemberName<'call>,
    ) -> DispatchResult2<'call> {
        self.inner.call_mut(server, connection, message, name)
    }

    fn introspect_to_writer(&self, writer: &mut dyn Write, level: usize) {
        self.inner.introspect_to_writer(writer, level);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn methods_are_read_with_their_arguments_in_order() {
        let found = methods(
            r#"<interface name="x.Y">
                 <!-- <method name="Old"> -->
                 <method name="Search">
                   <arg name="query" type="s" direction="in"/>
                   <arg name="options" type="a{sv}" direction="in"/>
                   <arg name="found" type="s" direction="out"/>
                 </method>
                 <method name="List">
                 </method>
                 <signal name="Said"><arg name="id" type="s"/>
                   <arg name="text" type="s" direction="in"/>
                 </signal>
               </interface>"#,
        );
        let wanted = [("Search", "sa{sv}"), ("List", "")].map(|(name, types)| (name.into(), types.into()));
        assert_eq!(found, HashMap::from(wanted));
    }
}
