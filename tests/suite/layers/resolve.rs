//! From paths in code to the modules that define the items.

use std::collections::{BTreeMap, BTreeSet};

use super::source::{Import, Module, Reference};

/// A use of an item in another module than the one that defines it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Use {
    /// The index of the module that uses the item.
    pub(super) user: usize,
    /// The index of the module that defines the item.
    pub(super) definer: usize,
    pub(super) item: String,
    /// The item is only named here for others, by a public `use`.
    pub(super) is_reexport: bool,
}

/// Returns the uses in all modules.
///
/// Methods and fields are not resolved: their types are.
pub(super) fn uses(modules: &[Module]) -> BTreeSet<Use> {
    let resolver = Resolver::new(modules);
    let mut uses = BTreeSet::new();
    for (user, module) in modules.iter().enumerate() {
        let mut add = |targets: BTreeSet<Target>, is_reexport| {
            for target in targets {
                if let Target::Item(definer, item) = target
                    && definer != user
                {
                    uses.insert(Use { user, definer, item, is_reexport });
                }
            }
        };
        for import in module.imports.iter().filter(|import| import.name != "*") {
            add(resolver.path(user, &import.path, &mut Visited::new()), import.is_reexport);
        }
        for reference in &module.references {
            add(resolver.reference(user, reference), false);
        }
    }
    uses
}

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(usize),
    /// An item, by the module that defines it.
    Item(usize, String),
}

/// The names that are being resolved, so that a circle of re-exports ends.
type Visited = BTreeSet<(usize, String)>;

struct Resolver<'a> {
    modules: &'a [Module],
    /// The modules that define a macro with `macro_rules!`, whose scope is textual.
    macros: BTreeMap<&'a str, usize>,
}

impl<'a> Resolver<'a> {
    fn new(modules: &'a [Module]) -> Self {
        let names = |(index, module): (usize, &'a Module)| {
            module.macros.iter().map(move |name| (name.as_str(), index))
        };
        let macros = modules.iter().enumerate().flat_map(names).collect();
        Self { modules, macros }
    }

    fn reference(&self, user: usize, reference: &Reference) -> BTreeSet<Target> {
        let found = self.path(user, &reference.path, &mut Visited::new());
        if let [name] = &*reference.path
            && reference.is_macro
            && found.is_empty()
        {
            let definer = self.macros.get(name.as_str());
            return definer.map(|definer| Target::Item(*definer, name.clone())).into_iter().collect();
        }
        found
    }

    /// Resolves a path in the scope of a module. Returns nothing for items of other crates.
    fn path(&self, scope: usize, path: &[String], visited: &mut Visited) -> BTreeSet<Target> {
        let Some((first, mut rest)) = path.split_first() else { return BTreeSet::new() };
        let module = |index| Some([Target::Module(index)].into());
        let mut found = match first.as_str() {
            "crate" => module(0),
            "self" => module(scope),
            "super" => self.modules[scope].parent.and_then(module),
            name => self.name(scope, name, visited),
        }
        .unwrap_or_default();
        while let Some((name, after)) = rest.split_first() {
            rest = after;
            found = found.into_iter().flat_map(|target| self.member(target, name, visited)).collect();
        }
        found
    }

    fn member(&self, target: Target, name: &str, visited: &mut Visited) -> BTreeSet<Target> {
        match target {
            Target::Module(module) if name == "super" => {
                self.modules[module].parent.map(Target::Module).into_iter().collect()
            }
            Target::Module(module) => match self.name(module, name, visited) {
                Some(targets) => targets,
                // A macro defines it there.
                None => [Target::Item(module, name.to_owned())].into(),
            },
            // A variant or an associated item.
            item @ Target::Item(..) => [item].into(),
        }
    }

    /// Resolves a name in the scope of a module. Returns `None` for an unknown name, and an empty set for an item of
    /// another crate.
    fn name(&self, scope: usize, name: &str, visited: &mut Visited) -> Option<BTreeSet<Target>> {
        if !visited.insert((scope, name.to_owned())) {
            return None;
        }
        let module = &self.modules[scope];
        let mut found = BTreeSet::new();
        found.extend(module.items.contains(name).then(|| Target::Item(scope, name.to_owned())));
        found.extend(module.children.get(name).map(|child| Target::Module(*child)));
        let imports: Vec<&Import> = module.imports.iter().filter(|import| import.name == name).collect();
        for import in &imports {
            found.extend(self.path(scope, &import.path, visited));
        }
        let is_known = !found.is_empty() || !imports.is_empty();
        let found = if is_known { Some(found) } else { self.glob(scope, name, visited) };
        visited.remove(&(scope, name.to_owned()));
        found
    }

    fn glob(&self, scope: usize, name: &str, visited: &mut Visited) -> Option<BTreeSet<Target>> {
        let globs = self.modules[scope].imports.iter().filter(|import| import.name == "*");
        let sources: Vec<Target> = globs.flat_map(|import| self.path(scope, &import.path, visited)).collect();
        sources.into_iter().find_map(|source| match source {
            Target::Module(module) => self.name(module, name, visited),
            Target::Item(..) => None,
        })
    }
}
