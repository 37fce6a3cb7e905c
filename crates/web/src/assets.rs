//! Owns the files of the page for people, which are part of the program. Nothing of it comes from elsewhere.

/// A file of the page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Asset {
    /// Where it is asked for.
    pub(crate) path: &'static str,
    /// Its media type.
    pub(crate) kind: &'static str,
    /// What it is.
    pub(crate) bytes: &'static [u8],
}

/// What the page may do: run its own files, and talk to whom it came from. Text never becomes markup.
pub(crate) const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; \
     connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'; \
     require-trusted-types-for 'script'; trusted-types 'none'";

/// Each file once, by its name.
macro_rules! assets {
    ($( $path:literal $kind:literal $file:literal, )*) => {
        const ALL: &[Asset] = &[ $( Asset {
            path: $path,
            kind: $kind,
            bytes: include_bytes!(concat!("../page/", $file)),
        }, )*];
        #[cfg(test)]
        const FILES: &[&str] = &[ $( $file, )* ];
    };
}

assets! {
    "/" "text/html; charset=utf-8" "page.html",
    "/page.css" "text/css; charset=utf-8" "page.css",
    "/icon.svg" "image/svg+xml" "icon.svg",
    "/main.js" "text/javascript; charset=utf-8" "main.js",
    "/ask.js" "text/javascript; charset=utf-8" "ask.js",
    "/chart.js" "text/javascript; charset=utf-8" "chart.js",
    "/clusters.js" "text/javascript; charset=utf-8" "clusters.js",
    "/element.js" "text/javascript; charset=utf-8" "element.js",
    "/figures.js" "text/javascript; charset=utf-8" "figures.js",
    "/history.js" "text/javascript; charset=utf-8" "history.js",
    "/overview.js" "text/javascript; charset=utf-8" "overview.js",
    "/sections.js" "text/javascript; charset=utf-8" "sections.js",
    "/table.js" "text/javascript; charset=utf-8" "table.js",
}

/// The file at this path.
pub(crate) fn find(path: &str) -> Option<&'static Asset> {
    ALL.iter().find(|it| it.path == path)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::path::Path;

    fn text(asset: &Asset) -> &str {
        std::str::from_utf8(asset.bytes).expect("text")
    }

    #[test]
    fn every_file_is_served() {
        let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("page");
        let there = directory.read_dir().expect("the page's directory");
        let there: BTreeSet<String> = there
            .map(|it| {
                it.expect("a file")
                    .file_name()
                    .into_string()
                    .expect("a name")
            })
            .collect();
        let served: BTreeSet<String> = FILES.iter().map(|it| (*it).to_owned()).collect();
        assert_eq!(there, served);
    }

    /// What the policy forbids would only be seen in a browser.
    #[test]
    fn text_never_becomes_markup_or_code() {
        for asset in ALL {
            for forbidden in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "style=\"",
                "onclick=",
                "javascript:",
                "<style",
                "<script>",
                "data:",
            ] {
                assert!(
                    !text(asset).contains(forbidden),
                    "{}: {forbidden}",
                    asset.path
                );
            }
        }
    }

    #[test]
    fn nothing_comes_from_elsewhere() {
        for asset in ALL {
            let text = text(asset).replace("http://www.w3.org/2000/svg", "");
            assert!(!text.contains("://"), "{}", asset.path);
        }
    }

    #[test]
    fn what_a_file_asks_for_is_there() {
        for asset in ALL {
            let text = text(asset);
            for (before, after) in [("from '.", "'"), ("src=\"", "\""), ("href=\"/", "\"")] {
                for rest in text.split(before).skip(1) {
                    let path = rest.split(after).next().unwrap_or_default();
                    let path = format!("/{}", path.trim_start_matches('/'));
                    assert!(find(&path).is_some(), "{} asks for {path}", asset.path);
                }
            }
        }
    }
}
