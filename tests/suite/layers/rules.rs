//! The rules for the modules of a crate: layers, and no circles.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use super::resolve::{Use, uses};
use super::source::{Module, Sources, read_modules};

/// The structure that a crate must have.
#[derive(Debug, Default)]
pub(super) struct Structure {
    /// The top-level modules, the highest layer first. A module may use its own layer and those below.
    pub(super) layers: &'static [&'static [&'static str]],
    /// Modules that may use fewer modules than their layer allows.
    pub(super) restricted: &'static [Restriction],
    /// Circles of files that are accepted.
    pub(super) circles: &'static [Circle],
}

/// The top-level modules that another one may use.
#[derive(Debug)]
pub(super) struct Restriction {
    pub(super) module: &'static str,
    pub(super) may_use: &'static [&'static str],
}

/// Files of one folder that use each other.
#[derive(Debug)]
pub(super) struct Circle {
    pub(super) files: &'static [&'static str],
    pub(super) reason: &'static str,
}

/// The largest circle of files that a folder may have.
const MAX_CIRCLE: usize = 6;

/// Uses between two modules or files, by user and definer, with an item as the example.
type Graph = BTreeMap<String, BTreeMap<String, String>>;

/// Returns a message for each violation, with the two modules and the item.
pub(super) fn violations(sources: &Sources, structure: &Structure) -> Vec<String> {
    // A program without a library has its modules in `main.rs`.
    let root = if sources.contains_key("lib.rs") { "lib.rs" } else { "main.rs" };
    let modules = read_modules(sources, root);
    let uses = uses(&modules);
    let mut found = unlisted(&modules, structure);
    found.extend(upward(&modules, &uses, structure));
    found.extend(circles_of_modules(&modules, &uses));
    found.extend(circles_of_files(&modules, &uses, structure));
    found
}

/// Compares the table with the modules that exist.
fn unlisted(modules: &[Module], structure: &Structure) -> Vec<String> {
    let actual: BTreeSet<&str> = modules[0].children.keys().map(String::as_str).collect();
    let mut listed = BTreeSet::new();
    let mut found = Vec::new();
    for module in structure.layers.iter().copied().flatten().copied() {
        if !listed.insert(module) {
            found.push(format!("`{module}` is in two layers: remove one of them"));
        }
    }
    let missing = actual.difference(&listed);
    found.extend(missing.map(|module| format!("`{module}` is in no layer: add it to the table")));
    let stale = listed.difference(&actual);
    found.extend(stale.map(|module| format!("`{module}` is in a layer, but does not exist: remove it")));
    found
}

/// Finds uses of a higher layer, or of a module that a restriction excludes.
fn upward(modules: &[Module], uses: &BTreeSet<Use>, structure: &Structure) -> Vec<String> {
    let layer = |module: &str| structure.layers.iter().position(|layer| layer.contains(&module));
    let mut found = BTreeSet::new();
    for used in uses {
        let (user, definer) = (&modules[used.user], &modules[used.definer]);
        // The root of the crate is above all layers.
        let Some(from) = user.path.first() else { continue };
        let shown = format!("{} uses {}::{}", user.name(), definer.name(), used.item);
        let Some(to) = definer.path.first() else {
            found.insert(format!("{shown}, which is above all layers: move the item to a module"));
            continue;
        };
        if from == to {
            continue;
        }
        if layer(from) > layer(to) {
            found.insert(format!("{shown}, but `{to}` is in a higher layer than `{from}`"));
        }
        let restriction = structure.restricted.iter().find(|restriction| restriction.module == from);
        if restriction.is_some_and(|restriction| !restriction.may_use.contains(&to.as_str())) {
            found.insert(format!("{shown}, but `{from}` must not use `{to}`"));
        }
    }
    found.into_iter().collect()
}

/// Finds circles of top-level modules.
fn circles_of_modules(modules: &[Module], uses: &BTreeSet<Use>) -> Vec<String> {
    let mut graph = Graph::new();
    for used in uses {
        let ends = (modules[used.user].path.first(), modules[used.definer].path.first());
        if let (Some(user), Some(definer)) = ends {
            add(&mut graph, user, definer, &used.item);
        }
    }
    let circles = circles(&graph);
    circles.iter().map(|circle| format!("circle of modules: {}", example(&graph, circle))).collect()
}

/// Finds circles of files that are not accepted, and accepted ones that do not exist.
fn circles_of_files(modules: &[Module], uses: &BTreeSet<Use>, structure: &Structure) -> Vec<String> {
    let mut graph = Graph::new();
    for used in uses {
        let (user, definer) = (&modules[used.user], &modules[used.definer]);
        // A module that only names the items of its own modules does not depend on them.
        let is_facade = used.is_reexport && definer.path.starts_with(&user.path);
        if !is_facade {
            add(&mut graph, &user.file, &definer.file, &used.item);
        }
    }
    let circles = circles(&graph);
    let mut found = Vec::new();
    for circle in &circles {
        let is_accepted = structure.circles.iter().any(|accepted| names(accepted.files) == *circle);
        if !is_accepted {
            let files = circle.iter().cloned().collect::<Vec<_>>().join(", ");
            found.push(format!("circle of files: {} (of {files})", example(&graph, circle)));
        }
    }
    for accepted in structure.circles {
        let folder = |file: &str| file.rsplit_once('/').map(|(folder, _)| folder.to_owned());
        let folders: BTreeSet<_> = accepted.files.iter().map(|file| folder(file)).collect();
        let shown = accepted.files.join(", ");
        if folders.len() != 1 || folders.contains(&None) || accepted.files.len() > MAX_CIRCLE {
            found.push(format!(
                "the accepted circle of {shown} is not one of {MAX_CIRCLE} files in one folder"
            ));
        }
        if accepted.reason.trim().is_empty() {
            found.push(format!("the accepted circle of {shown} has no reason"));
        }
        if !circles.contains(&names(accepted.files)) {
            found.push(format!("the accepted circle of {shown} does not exist: remove it from the table"));
        }
    }
    found
}

fn names(files: &[&str]) -> BTreeSet<String> {
    files.iter().map(|file| (*file).to_owned()).collect()
}

fn add(graph: &mut Graph, user: &str, definer: &str, item: &str) {
    if user != definer {
        let uses = graph.entry(user.to_owned()).or_default();
        uses.entry(definer.to_owned()).or_insert_with(|| item.to_owned());
    }
}

/// Returns the largest sets of nodes that reach each other.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reachable: BTreeMap<&String, BTreeSet<&String>> =
        graph.keys().map(|start| (start, paths(graph, start).into_keys().collect())).collect();
    let reaches = |from: &String, to: &String| reachable.get(from).is_some_and(|found| found.contains(to));
    let mut found: Vec<BTreeSet<String>> = Vec::new();
    for node in graph.keys().filter(|node| reaches(node, node)) {
        if !found.iter().any(|circle| circle.contains(node)) {
            found.push(
                graph.keys().filter(|other| reaches(node, other) && reaches(other, node)).cloned().collect(),
            );
        }
    }
    found
}

/// Returns the nodes that can be reached from one, each with the node before it on a shortest path.
fn paths<'a>(graph: &'a Graph, start: &'a String) -> BTreeMap<&'a String, &'a String> {
    let mut found = BTreeMap::new();
    let mut waiting = VecDeque::from([start]);
    while let Some(node) = waiting.pop_front() {
        for next in graph.get(node).into_iter().flat_map(BTreeMap::keys) {
            found.entry(next).or_insert_with(|| {
                waiting.push_back(next);
                node
            });
        }
    }
    found
}

/// Shows a shortest circle through the first node: `a -X-> b -Y-> a`.
fn example(graph: &Graph, circle: &BTreeSet<String>) -> String {
    let Some(start) = circle.first() else { return String::new() };
    let before = paths(graph, start);
    let mut shown = start.clone();
    let mut node = start;
    loop {
        let user = before[node];
        shown = format!("{user} -{}-> {shown}", graph[user][node]);
        node = user;
        if node == start {
            return shown;
        }
    }
}
