//! The module tree of a crate, read from its source files.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

use proc_macro2::{Delimiter, TokenStream, TokenTree};
use quote::ToTokens;
use syn::{Attribute, Item, ItemMod, ItemUse, UseTree};

/// The text of each source file, by its path below `src`, for example `limit/mod.rs`.
pub(crate) type Sources = BTreeMap<String, String>;

/// A module, and the paths in its code.
#[derive(Debug, Default)]
pub(crate) struct Module {
    /// The names from the root of the crate; empty for the root.
    pub(super) path: Vec<String>,
    /// The file that contains the code of the module.
    pub(crate) file: String,
    pub(super) parent: Option<usize>,
    pub(super) children: BTreeMap<String, usize>,
    /// The names of the items that are defined here.
    pub(crate) items: BTreeSet<String>,
    /// The macros that are defined here with `macro_rules!`; they are items as well.
    pub(super) macros: BTreeSet<String>,
    pub(super) imports: Vec<Import>,
    pub(super) references: Vec<Reference>,
}

/// One name of a `use` declaration.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Import {
    /// The name in scope; `*` for a glob, `_` for an unnamed import.
    pub(super) name: String,
    pub(super) path: Vec<String>,
    pub(super) is_reexport: bool,
}

/// A path in code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    pub(super) path: Vec<String>,
    pub(super) is_macro: bool,
}

/// Reads the source files below a folder.
pub(crate) fn read_sources(folder: &Path) -> Sources {
    fn visit(folder: &Path, prefix: &str, sources: &mut Sources) {
        for entry in fs::read_dir(folder).expect("a folder of sources") {
            let entry = entry.expect("an entry");
            let name = entry.file_name().into_string().expect("a UTF-8 name");
            if entry.file_type().expect("a file type").is_dir() {
                visit(&entry.path(), &format!("{prefix}{name}/"), sources);
            } else if entry.path().extension().is_some_and(|extension| extension == "rs") {
                let text = fs::read_to_string(entry.path()).expect("a readable file");
                sources.insert(format!("{prefix}{name}"), text);
            }
        }
    }
    let mut sources = Sources::new();
    visit(folder, "", &mut sources);
    sources
}

/// Returns the modules of the crate whose root is the file `root`, the root first. Modules and items with `#[cfg(test)]` are
/// left out.
///
/// # Panics
///
/// Panics if a file is missing or is not valid Rust.
pub(crate) fn read_modules(sources: &Sources, root: &str) -> Vec<Module> {
    let mut reader = Reader { sources, modules: Vec::new() };
    reader.add_file(Vec::new(), root, None);
    reader.modules
}

struct Reader<'a> {
    sources: &'a Sources,
    modules: Vec<Module>,
}

impl Reader<'_> {
    fn add_file(&mut self, path: Vec<String>, file: &str, parent: Option<usize>) -> usize {
        let text = self.sources.get(file).unwrap_or_else(|| panic!("the source file {file} is missing"));
        let parsed = syn::parse_file(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        // Roots and `mod.rs` have their modules beside them, other files in a folder of their name.
        let stem = ["mod.rs", "lib.rs", "main.rs"].iter().find_map(|name| file.strip_suffix(name));
        let folder = stem.map_or_else(|| format!("{}/", file.trim_end_matches(".rs")), str::to_owned);
        self.add_items(path, file, &folder, parent, parsed.items)
    }

    fn add_items(
        &mut self,
        path: Vec<String>,
        file: &str,
        folder: &str,
        parent: Option<usize>,
        items: Vec<Item>,
    ) -> usize {
        let index = self.modules.len();
        let module = Module { path, file: file.to_owned(), parent, ..Module::default() };
        self.modules.push(module);
        for item in items {
            match item {
                Item::Mod(module) if is_test(&module.attrs) => {}
                Item::Mod(module) => {
                    let name = plain(&module.ident.to_string());
                    let child = self.add_module(file, folder, index, module);
                    self.modules[index].children.insert(name, child);
                }
                item => self.modules[index].add_item(&item),
            }
        }
        index
    }

    fn add_module(&mut self, file: &str, folder: &str, parent: usize, module: ItemMod) -> usize {
        let name = plain(&module.ident.to_string());
        let mut path = self.modules[parent].path.clone();
        path.push(name.clone());
        if let Some((_, items)) = module.content {
            return self.add_items(path, file, &format!("{folder}{name}/"), Some(parent), items);
        }
        let candidates = [format!("{folder}{name}.rs"), format!("{folder}{name}/mod.rs")];
        let found = candidates.iter().find(|file| self.sources.contains_key(*file));
        let file = found.unwrap_or_else(|| panic!("{file} declares `mod {name}`, which has no file"));
        self.add_file(path, file, Some(parent))
    }
}

impl Module {
    /// Returns the path as in code: `crate::limit::window`.
    pub(super) fn name(&self) -> String {
        ["crate"].into_iter().chain(self.path.iter().map(String::as_str)).collect::<Vec<_>>().join("::")
    }

    fn add_item(&mut self, item: &Item) {
        let (name, attributes) = match item {
            Item::Const(item) => (Some(&item.ident), &item.attrs),
            Item::Enum(item) => (Some(&item.ident), &item.attrs),
            Item::Fn(item) => (Some(&item.sig.ident), &item.attrs),
            Item::Impl(item) => (None, &item.attrs),
            Item::Macro(item) => (item.ident.as_ref(), &item.attrs),
            Item::Static(item) => (Some(&item.ident), &item.attrs),
            Item::Struct(item) => (Some(&item.ident), &item.attrs),
            Item::Trait(item) => (Some(&item.ident), &item.attrs),
            Item::TraitAlias(item) => (Some(&item.ident), &item.attrs),
            Item::Type(item) => (Some(&item.ident), &item.attrs),
            Item::Union(item) => (Some(&item.ident), &item.attrs),
            Item::Use(item) => (None, &item.attrs),
            other => return self.scan(other.to_token_stream()),
        };
        if is_test(attributes) {
            return;
        }
        let name = name.map(|name| plain(&name.to_string()));
        if let Item::Macro(_) = item {
            self.macros.extend(name.clone());
        }
        self.items.extend(name);
        self.scan(item.to_token_stream());
    }

    /// Collects the paths in tokens, also those in macros, whose syntax is not known.
    fn scan(&mut self, tokens: TokenStream) {
        self.scan_tokens(tokens, false);
    }

    /// Strings are paths only in attributes. Quoted code belongs to the crate that it is generated for.
    fn scan_tokens(&mut self, tokens: TokenStream, is_in_attribute: bool) {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        let mut at = 0;
        while at < tokens.len() {
            at = match &tokens[at] {
                TokenTree::Ident(word) if word == "use" => self.scan_use(&tokens, at),
                TokenTree::Ident(_) => self.scan_path(&tokens, at),
                TokenTree::Group(group) => {
                    let is_attribute =
                        group.delimiter() == Delimiter::Bracket && is_punct(before(&tokens, at, 1), '#');
                    let first = group.stream().into_iter().next();
                    let is_doc = matches!(&first, Some(TokenTree::Ident(word)) if word == "doc");
                    if !(is_attribute && is_doc || is_quotation(&tokens, at)) {
                        self.scan_tokens(group.stream(), is_in_attribute || is_attribute);
                    }
                    at + 1
                }
                TokenTree::Literal(literal) => {
                    if is_in_attribute {
                        self.scan_literal(&literal.to_string());
                    }
                    at + 1
                }
                TokenTree::Punct(_) => at + 1,
            };
        }
    }

    /// Reads the `use` declaration at a position. Returns the position after it.
    fn scan_use(&mut self, tokens: &[TokenTree], at: usize) -> usize {
        let is_end = |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == ';');
        let Some(length) = tokens[at..].iter().position(is_end) else { return at + 1 };
        // In a macro: `use $crate::limit`.
        let is_dollar =
            |token: &TokenTree| matches!(token, TokenTree::Punct(punct) if punct.as_char() == '$');
        let declaration =
            tokens[at..=at + length].iter().filter(|token| !is_dollar(token)).cloned().collect();
        let Ok(declaration) = syn::parse2::<ItemUse>(declaration) else { return at + 1 };
        let is_reexport = is_after_visibility(tokens, at);
        let prefix = if declaration.leading_colon.is_some() { vec![String::new()] } else { Vec::new() };
        self.add_imports(&declaration.tree, prefix, is_reexport);
        at + length + 1
    }

    fn add_imports(&mut self, tree: &UseTree, mut prefix: Vec<String>, is_reexport: bool) {
        let mut add = |name: String, path: Vec<String>| self.imports.push(Import { name, path, is_reexport });
        match tree {
            UseTree::Path(path) => {
                prefix.push(plain(&path.ident.to_string()));
                self.add_imports(&path.tree, prefix, is_reexport);
            }
            UseTree::Name(name) if name.ident == "self" => {
                add(prefix.last().cloned().unwrap_or_default(), prefix);
            }
            UseTree::Name(name) => {
                let name = plain(&name.ident.to_string());
                prefix.push(name.clone());
                add(name, prefix);
            }
            UseTree::Rename(rename) => {
                if rename.ident != "self" {
                    prefix.push(plain(&rename.ident.to_string()));
                }
                add(plain(&rename.rename.to_string()), prefix);
            }
            UseTree::Glob(_) => add("*".to_owned(), prefix),
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.add_imports(tree, prefix.clone(), is_reexport);
                }
            }
        }
    }

    /// Reads the path at a position. Returns the position after it.
    fn scan_path(&mut self, tokens: &[TokenTree], start: usize) -> usize {
        let mut path = Vec::new();
        let mut at = start;
        while let Some(TokenTree::Ident(word)) = tokens.get(at) {
            path.push(plain(&word.to_string()));
            at += 1;
            if !(is_punct(tokens.get(at), ':') && is_punct(tokens.get(at + 1), ':')) {
                break;
            }
            at += 2;
        }
        let is_field = is_punct(before(tokens, start, 1), '.') && !is_punct(before(tokens, start, 2), '.');
        let is_lifetime = is_punct(before(tokens, start, 1), '\'');
        // `::std::…`, or what follows `<T as Trait>`.
        let is_continued = is_punct(before(tokens, start, 1), ':') && is_punct(before(tokens, start, 2), ':');
        // The name of a field, or a declared name.
        let is_name = path.len() == 1
            && (is_punct(tokens.get(at), ':') && !is_punct(tokens.get(at + 1), ':')
                || ["fn", "let", "mut"].iter().any(|word| is_word(before(tokens, start, 1), word)));
        if !(is_field || is_lifetime || is_continued || is_name) {
            let is_macro = is_punct(tokens.get(at), '!') && !is_punct(tokens.get(at + 1), '=');
            self.references.push(Reference { path, is_macro });
        }
        at
    }

    /// Reads a path in a string, as in `#[serde(with = "crate::lenient")]`.
    fn scan_literal(&mut self, literal: &str) {
        let text = literal.trim_matches('"');
        if !["crate::", "self::", "super::"].iter().any(|start| text.starts_with(start)) {
            return;
        }
        if let Ok(path) = syn::parse_str::<syn::Path>(text) {
            let path = path.segments.iter().map(|segment| plain(&segment.ident.to_string())).collect();
            self.references.push(Reference { path, is_macro: false });
        }
    }
}

/// Returns the token `distance` positions before another one.
fn before(tokens: &[TokenTree], at: usize, distance: usize) -> Option<&TokenTree> {
    at.checked_sub(distance).and_then(|at| tokens.get(at))
}

fn is_punct(token: Option<&TokenTree>, expected: char) -> bool {
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

fn is_word(token: Option<&TokenTree>, expected: &str) -> bool {
    matches!(token, Some(TokenTree::Ident(word)) if word == expected)
}

/// Returns `true` if a group is the argument of a macro that quotes code.
fn is_quotation(tokens: &[TokenTree], at: usize) -> bool {
    let quotes = |name| is_word(before(tokens, at, 2), name);
    is_punct(before(tokens, at, 1), '!') && ["parse_quote", "quote"].into_iter().any(quotes)
}

/// Returns `true` if `pub` or `pub(…)` ends right before a position.
fn is_after_visibility(tokens: &[TokenTree], at: usize) -> bool {
    let is_restricted = matches!(before(tokens, at, 1), Some(TokenTree::Group(_)));
    is_word(before(tokens, at, if is_restricted { 2 } else { 1 }), "pub")
}

/// Returns `true` for `#[cfg(test)]`, also with further conditions in `all(…)`.
fn is_test(attributes: &[Attribute]) -> bool {
    fn requires_test(tokens: TokenStream) -> bool {
        let tokens: Vec<TokenTree> = tokens.into_iter().collect();
        tokens.iter().enumerate().any(|(at, token)| match token {
            TokenTree::Ident(word) => word == "test",
            TokenTree::Group(group) => {
                is_word(before(&tokens, at, 1), "all") && requires_test(group.stream())
            }
            _ => false,
        })
    }
    let conditions = attributes.iter().filter(|attribute| attribute.path().is_ident("cfg"));
    let mut conditions = conditions.filter_map(|attribute| attribute.meta.require_list().ok());
    conditions.any(|condition| requires_test(condition.tokens.clone()))
}

/// Returns an identifier without `r#`.
fn plain(name: &str) -> String {
    name.trim_start_matches("r#").to_owned()
}
