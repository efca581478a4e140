"""Prepares the sources of the site for mdBook, and checks the links of the site.

    site.py prepare FOLDER     writes book.toml, and the pages with the files that they link to, to FOLDER
    site.py check FOLDER       checks each link, image, script and style sheet of the pages in FOLDER
"""

import html.parser
import os
import pathlib
import re
import shutil
import subprocess
import sys
import urllib.parse

ROOT = pathlib.Path(__file__).resolve().parents[2]
# A link, whose label has no brackets but those of code, or what can contain no link: a fenced block or a code span.
LINK = re.compile(
    r"^(?P<fence>```+).*?^(?P=fence)\s*$|(?P<label>\[(?:`[^`]*`|[^\[\]`]|!\[[^\[\]]*\]\([^()]*\))*)\]\((?P<target>[^()\s]+)\)|`[^`\n]+`",
    re.DOTALL | re.MULTILINE,
)
LANGUAGES = {".rs": "rust", ".yaml": "yaml", ".toml": "toml", ".mjs": "javascript"}


def targets(text):
    """The targets of the links in a page, and of the images in their labels."""
    found = [match for match in LINK.finditer(text) if match["target"]]
    return [target for match in found for target in [match["target"], *targets(match["label"][1:])]]


def is_external(target):
    return bool(urllib.parse.urlsplit(target).scheme)


class Site:
    def __init__(self):
        listed = subprocess.run(["git", "ls-files"], cwd=ROOT, check=True, capture_output=True, text=True)
        self.files = {path for path in listed.stdout.splitlines() if (ROOT / path).is_file()}
        self.pages = {}
        self.images = set()
        self.folders = set()

    def resolve(self, page, target):
        """The path in the repository that a link of a page names."""
        path = os.path.normpath(os.path.join(os.path.dirname(page), target.partition("#")[0]))
        for file in (path, path + "/README.md"):
            if file in self.files:
                return file
        if any(file.startswith(path + "/") for file in self.files):
            return path + "/"
        raise SystemExit(f"{page}: no file of the repository is at {target}")

    def add(self, path):
        """Adds a file, or a folder with the files in it."""
        if path.endswith("/"):
            self.folders.add(path)
            for file in self.files:
                if os.path.dirname(file) == path[:-1] and file.endswith(tuple(LANGUAGES)):
                    self.add(file)
        elif path.endswith(".png"):
            self.images.add(path)
        else:
            self.pages[path] = (ROOT / path).read_text("utf-8")

    def links(self, page):
        """The paths in the repository that a page links to."""
        return [
            self.resolve(page, target)
            for target in targets(self.pages[page])
            if not is_external(target) and not target.startswith("#")
        ]

    def has(self, path):
        return path in self.pages or path in self.folders or path in self.images

    def name(self, path):
        """The name of the source of a page: other files than Markdown, and folders, become pages."""
        if path.endswith("README.md"):
            return path.removesuffix("README.md") + "index.md"
        if path.endswith("/"):
            return path + "index.md"
        return path if path in self.images or path.endswith(".md") else path + ".md"

    def render(self, path):
        text = self.pages[path]
        if not path.endswith(".md"):
            language = LANGUAGES.get(pathlib.Path(path).suffix, "text")
            return f"# {path}\n\n````{language}\n{text.rstrip()}\n````\n"

        def rewrite(match):
            target = match["target"]
            if not target or is_external(target) or target.startswith("#"):
                return match[0]
            label = "[" + LINK.sub(rewrite, match["label"][1:])
            _, mark, fragment = target.partition("#")
            path_of_target = self.resolve(path, target)
            if not self.has(path_of_target):
                return label[1:]
            relative = os.path.relpath(self.name(path_of_target), os.path.dirname(path) or ".")
            return f"{label}]({relative}{mark}{fragment})"

        # The header of a skill is not Markdown.
        text = re.sub(r"\A---\n.*?\n---\n", "", text, flags=re.DOTALL)
        return LINK.sub(rewrite, text)

    def list(self, folder):
        """The page of a folder: the files in it that are pages."""
        files = [path for path in sorted(self.pages) if path.startswith(folder)]
        lines = [f"- [{path[len(folder):]}]({self.name(path)[len(folder):]})" for path in files]
        return f"# {folder}\n\n" + "\n".join(lines) + "\n"

    def prepare(self, out):
        summary = (ROOT / "docs/SUMMARY.md").read_text("utf-8")
        listed = [self.resolve("docs/SUMMARY.md", target) for target in targets(summary)]
        guides = {path for path in self.files if re.fullmatch(r"docs/[^/]+\.md", path)}
        if missing := guides - set(listed) - {"docs/SUMMARY.md"}:
            raise SystemExit(f"docs/SUMMARY.md lacks {', '.join(sorted(missing))}")
        if len(set(listed)) != len(listed):
            raise SystemExit("docs/SUMMARY.md lists a page twice")
        for path in listed:
            self.add(path)
        # What the pages of the summary link to is in the site. Links of those files lead only to what is there.
        for page in listed:
            for path in self.links(page):
                if not self.has(path):
                    self.add(path)
        others = sorted((set(self.pages) | self.folders) - set(listed))

        shutil.rmtree(out, ignore_errors=True)
        source = out / "src"
        source.mkdir(parents=True)
        # The words of these files would bury those of the guides.
        hidden = "".join(f'"{self.name(path)}" = {{ enable = false }}\n' for path in others)
        book = (ROOT / "docs/book.toml").read_text("utf-8")
        (out / "book.toml").write_text(f"{book}\n[output.html.search.chapter]\n{hidden}", "utf-8")
        summary = LINK.sub(
            lambda match: f"{match['label']}]({self.name(self.resolve('docs/SUMMARY.md', match['target']))})", summary
        )
        summary += "\n# Files\n\n" + "".join(f"- [{path}]({self.name(path)})\n" for path in others)
        texts = {"SUMMARY.md": summary}
        texts |= {self.name(folder): self.list(folder) for folder in self.folders}
        texts |= {self.name(path): self.render(path) for path in self.pages}
        for name, text in texts.items():
            (source / name).parent.mkdir(parents=True, exist_ok=True)
            (source / name).write_text(text, "utf-8")
        for image in self.images:
            (source / image).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(ROOT / image, source / image)


class Page(html.parser.HTMLParser):
    """The ids of a page, and what it refers to."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.links, self.resources = set(), [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        values = dict(attributes)
        if "id" in values:
            self.ids.add(values["id"])
        if tag == "a" and values.get("href"):
            self.links.append(values["href"])
        if tag == "link" and "stylesheet" in values.get("rel", "") or tag in ("script", "img"):
            self.resources += [value for value in (values.get("href"), values.get("src")) if value]


def check(out):
    """Prints what is wrong with the links of a site. Returns the number of pages and of links."""
    pages = {path: Page(path.read_text("utf-8")) for path in sorted(out.rglob("*.html"))}
    problems, links = [], 0
    for path, page in pages.items():
        # It is served for every address, and is printed, so its links are those of no folder.
        if path.name in ("404.html", "print.html", "toc.html"):
            continue
        shown = path.relative_to(out)
        problems += [f"{shown}: loads {url} from another host" for url in page.resources if is_external(url)]
        for url in page.links + [url for url in page.resources if not is_external(url)]:
            if is_external(url):
                continue
            links += 1
            parts = urllib.parse.urlsplit(url)
            target = (path.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else path
            if target.is_dir():
                target /= "index.html"
            if not target.is_relative_to(out) or not target.is_file():
                problems.append(f"{shown}: {url} does not exist")
            elif parts.fragment and target.suffix == ".html":
                if urllib.parse.unquote(parts.fragment) not in pages[target].ids:
                    problems.append(f"{shown}: {url} names a heading that does not exist")
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise SystemExit(f"{len(problems)} links of the site are broken")
    return len(pages), links


if __name__ == "__main__":
    command, folder = sys.argv[1], pathlib.Path(sys.argv[2]).resolve()
    if command == "prepare":
        Site().prepare(folder)
    else:
        print("%d pages, %d links" % check(folder))
