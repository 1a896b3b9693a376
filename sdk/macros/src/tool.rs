//! Reads a function and writes what makes it a tool. Errors point at the place and say what to write.

use proc_macro2::{Span, TokenStream};
use quote::{format_ident, quote};
use syn::spanned::Spanned;
use syn::{
    Attribute, Error, Expr, FnArg, Ident, ItemFn, Lit, LitStr, Meta, Pat, PatType, Path, Result, ReturnType,
    Safety, Type,
};

/// The longest name that the daemon takes.
const LONGEST_NAME: usize = 40;

pub fn expand(options: TokenStream, item: TokenStream) -> Result<TokenStream> {
    let mut function: ItemFn = syn::parse2(item).map_err(|error| {
        Error::new(
            error.span(),
            "#[tool] stands before a function, such as `fn add(a: f64, b: f64) -> String`",
        )
    })?;
    check_signature(&function)?;
    let name = tool_name(options, &function)?;
    let description = description(&function)?;
    let Parameters { definition, kind, passed } = parameters(&mut function)?;
    let (visibility, ident) = (&function.vis, &function.sig.ident);
    let described = described_by(ident);
    Ok(quote! {
        #function

        #[doc(hidden)]
        #[allow(non_camel_case_types)]
        #visibility struct #described;

        const _: () = {
            #definition
            impl ::familiar_sdk::__private::Tool for #described {
                const NAME: &'static str = #name;
                const DESCRIPTION: &'static str = #description;
                type Arguments = #kind;
                fn call(
                    __arguments: #kind,
                    __context: &::familiar_sdk::Context,
                ) -> ::familiar_sdk::Result<::familiar_sdk::Output> {
                    ::familiar_sdk::IntoResult::into_result(#ident(#(#passed),*))
                }
            }
        };
    })
}

/// From the path of a `#[tool]` function to what `plugin!` collects of it.
pub fn entry(path: TokenStream) -> Result<TokenStream> {
    let mut path: Path = syn::parse2(path)?;
    if let Some(last) = path.segments.last_mut() {
        last.ident = described_by(&last.ident);
    }
    Ok(quote!(::familiar_sdk::__private::Entry::of::<#path>()))
}

/// The type beside the function. Not the function's own name: a module may have that.
fn described_by(function: &Ident) -> Ident {
    format_ident!("__tool_{}", function)
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let signature = &function.sig;
    let wrong = |span: Span, words: &str| Err(Error::new(span, words));
    if let Some(asyncness) = signature.asyncness {
        return wrong(asyncness.span(), "a tool is a plain function: its imports wait by themselves");
    }
    if let Safety::Unsafe(unsafety) = &signature.safety {
        return wrong(unsafety.span(), "a tool is a safe function");
    }
    if !signature.generics.params.is_empty() {
        return wrong(
            signature.generics.span(),
            "a tool has no type parameters: its JSON Schema is one. Write the types out",
        );
    }
    if let ReturnType::Default = signature.output {
        return wrong(
            signature.ident.span(),
            "a tool returns what the model reads: write `-> String`, `-> Output` or `-> Result<Output>`",
        );
    }
    Ok(())
}

/// `#[tool]` or `#[tool(name = "...")]`; the function's own name is the default.
fn tool_name(options: TokenStream, function: &ItemFn) -> Result<String> {
    let mut named = None;
    let parser = syn::meta::parser(|option| {
        if !option.path.is_ident("name") {
            return Err(option.error("#[tool] has one option: `name = \"...\"`"));
        }
        named = Some(option.value()?.parse::<LitStr>()?);
        Ok(())
    });
    syn::parse::Parser::parse2(parser, options)?;
    let (name, span) = match named {
        Some(literal) => (literal.value(), literal.span()),
        None => {
            let ident = &function.sig.ident;
            (ident.to_string().trim_start_matches("r#").to_owned(), ident.span())
        }
    };
    let letters = name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_');
    if !letters || name.is_empty() || name.len() > LONGEST_NAME || name.contains("__") {
        return Err(Error::new(
            span,
            format!(
                "a tool's name has 1 to {LONGEST_NAME} of a-z, 0-9 and single `_`; `{name}` does not fit. \
                 Give one with #[tool(name = \"...\")]"
            ),
        ));
    }
    Ok(name)
}

/// The doc comment; it is what the model chooses by, so it must be there.
fn description(function: &ItemFn) -> Result<String> {
    let lines = function.attrs.iter().filter_map(doc_line);
    let text = lines.map(|line| line.trim().to_owned()).collect::<Vec<_>>().join("\n");
    let text = text.trim();
    if text.is_empty() {
        return Err(Error::new(
            function.sig.ident.span(),
            "a tool needs a doc comment (`/// ...`): the model reads it to know when to call",
        ));
    }
    Ok(text.to_owned())
}

fn doc_line(attribute: &Attribute) -> Option<String> {
    let Meta::NameValue(pair) = &attribute.meta else { return None };
    let Expr::Lit(literal) = &pair.value else { return None };
    match &literal.lit {
        Lit::Str(text) if pair.path.is_ident("doc") => Some(text.value()),
        _ => None,
    }
}

/// How arguments reach the function.
struct Parameters {
    /// The struct that they are read into, unless the author has one.
    definition: TokenStream,
    kind: TokenStream,
    passed: Vec<TokenStream>,
}

/// Takes the attributes of the parameters away, which rustc would not have there.
fn parameters(function: &mut ItemFn) -> Result<Parameters> {
    let mut fields = Vec::new();
    let mut whole: Option<Type> = None;
    let mut passed = Vec::new();
    for input in &mut function.sig.inputs {
        let parameter = match input {
            FnArg::Typed(parameter) => parameter,
            FnArg::Receiver(receiver) => {
                return Err(Error::new(receiver.span(), "a tool is a free function, without `self`"));
            }
        };
        let kind = (*parameter.ty).clone();
        if is_context(&kind) {
            passed.push(quote!(__context));
        } else if let Some(inner) = inside_args(&kind) {
            whole = Some(inner);
            passed.push(quote!(::familiar_sdk::Args(__arguments)));
        } else {
            let field = field(parameter, kind)?;
            let name = &field.name;
            // No variable of its own, which would hide a function of its name.
            passed.push(quote!(__arguments.#name));
            fields.push(field);
        }
    }
    let Some(whole) = whole else { return Ok(from_fields(&fields, passed)) };
    match fields.first() {
        Some(field) => Err(Error::new(
            field.name.span(),
            "with `Args<...>` all arguments are fields of that type: put this one there too",
        )),
        None => Ok(Parameters { definition: quote!(), kind: quote!(#whole), passed }),
    }
}

fn from_fields(fields: &[Field], passed: Vec<TokenStream>) -> Parameters {
    let names: Vec<_> = fields.iter().map(|field| &field.name).collect();
    let kinds = fields.iter().map(|field| &field.kind);
    let attributes = fields.iter().map(|field| &field.attributes);
    let definition = quote! {
        #[derive(
            ::familiar_sdk::__private::serde::Deserialize,
            ::familiar_sdk::__private::schemars::JsonSchema,
        )]
        #[serde(crate = "::familiar_sdk::__private::serde", deny_unknown_fields)]
        #[schemars(crate = "::familiar_sdk::__private::schemars")]
        pub struct Arguments { #(#(#attributes)* #names: #kinds),* }
    };
    Parameters { definition, kind: quote!(Arguments), passed }
}

/// One argument, from one parameter.
struct Field {
    attributes: Vec<Attribute>,
    name: Ident,
    kind: Type,
}

fn field(parameter: &mut PatType, kind: Type) -> Result<Field> {
    let Pat::Ident(pattern) = &*parameter.pat else {
        return Err(Error::new(
            parameter.pat.span(),
            "an argument has a name, such as `city: String`; a type of your own goes into `Args<...>`",
        ));
    };
    let name = pattern.ident.clone();
    match &kind {
        Type::Reference(_) => Err(Error::new(
            kind.span(),
            "an argument is owned: write `String` for `&str`, `Vec<T>` for `&[T]` (only `&Context` is borrowed)",
        )),
        Type::ImplTrait(_) => Err(Error::new(kind.span(), "an argument has one type: write it out")),
        _ => Ok(Field { attributes: std::mem::take(&mut parameter.attrs), name, kind }),
    }
}

/// `&Context`, by whatever path.
fn is_context(kind: &Type) -> bool {
    let Type::Reference(reference) = kind else { return false };
    let Type::Path(path) = &*reference.elem else { return false };
    path.path.segments.last().is_some_and(|segment| segment.ident == "Context")
}

/// The `T` of `Args<T>`.
fn inside_args(kind: &Type) -> Option<Type> {
    let Type::Path(path) = kind else { return None };
    let last = path.path.segments.last().filter(|segment| segment.ident == "Args")?;
    let syn::PathArguments::AngleBracketed(generic) = &last.arguments else { return None };
    match generic.args.first() {
        Some(syn::GenericArgument::Type(inner)) => Some(inner.clone()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "tool_tests.rs"]
mod tests;
