use super::*;

fn refused(options: TokenStream, item: TokenStream) -> String {
    expand(options, item).expect_err("should be refused").to_string()
}

#[test]
fn wrong_functions_are_told_what_to_write() {
    let cases = [
        (
            quote!(),
            quote!(
                struct X;
            ),
            "before a function",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                async fn add() -> String {}
            ),
            "plain function",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                unsafe fn add() -> String {}
            ),
            "safe function",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add<T>(a: T) -> String {}
            ),
            "type parameters",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add(a: u8) {}
            ),
            "returns what the model reads",
        ),
        (
            quote!(),
            quote!(
                fn add(a: u8) -> String {}
            ),
            "doc comment",
        ),
        (
            quote!(),
            quote!(
                #[doc = "  "]
                fn add(a: u8) -> String {}
            ),
            "doc comment",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add(&self) -> String {}
            ),
            "without `self`",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add(a: &str) -> String {}
            ),
            "`String` for `&str`",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add(a: impl Into<String>) -> String {}
            ),
            "one type",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add((a, b): (u8, u8)) -> String {}
            ),
            "has a name",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add(Args(a): Args<A>, b: u8) -> String {}
            ),
            "this one there too",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn addThem() -> String {}
            ),
            "does not fit",
        ),
        (
            quote!(),
            quote!(
                #[doc = "Adds."]
                fn add__all() -> String {}
            ),
            "does not fit",
        ),
        (
            quote!(name = "Größe"),
            quote!(
                #[doc = "Adds."]
                fn add() -> String {}
            ),
            "does not fit",
        ),
        (
            quote!(name = ""),
            quote!(
                #[doc = "Adds."]
                fn add() -> String {}
            ),
            "does not fit",
        ),
        (
            quote!(title = "x"),
            quote!(
                #[doc = "Adds."]
                fn add() -> String {}
            ),
            "one option",
        ),
    ];
    for (options, item, words) in cases {
        let error = refused(options, item.clone());
        assert!(error.contains(words), "{item}: {error}");
    }
}

#[test]
fn a_name_is_forty_letters_at_most() {
    let name = "a".repeat(41);
    assert!(
        refused(
            quote!(name = #name),
            quote!(
                #[doc = "x"]
                fn f() -> String {}
            )
        )
        .contains("1 to 40")
    );
    let name = "a".repeat(40);
    assert!(
        expand(
            quote!(name = #name),
            quote!(
                #[doc = "x"]
                fn f() -> String {}
            )
        )
        .is_ok()
    );
}

#[test]
fn attributes_of_parameters_move_to_the_fields() {
    let item = quote! {
        #[doc = " Adds."]
        fn add(#[doc = " One."] #[serde(default)] a: u8, context: &Context) -> String { String::new() }
    };
    let code = expand(quote!(), item).unwrap().to_string();
    assert_eq!(code.matches("One.").count(), 1, "{code}");
    assert!(code.contains("fn add (a : u8 , context : & Context)"), "{code}");
    assert!(code.contains("\"Adds.\""), "{code}");
}
