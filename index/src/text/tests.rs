//! Sections and terms of small texts, and of any bytes.

use proptest::prelude::*;

use super::*;

fn terms(lang: &str, text: &str) -> Vec<String> {
    let mut analyzer = Analyzer::new();
    let lang = Lang::from_code(lang).unwrap_or_default();
    let mut terms = Vec::new();
    words(text, |word| terms.push(analyzer.term(lang, &word).to_owned()));
    terms
}

fn long(word: &str) -> String {
    format!("{word} ").repeat(120)
}

#[test]
fn markdown_is_cut_at_headings_and_not_in_code() {
    let text = format!(
        "---\ntitle: \"Exporters\"\ndescription: Send data\n---\n\n{}\n\n## Usage {{#use}}\n\n{}\n\n\
         ```sh\n# no heading\nrun --foo-bar\n```\n\n### With Node\n\n{}\n",
        long("intro"),
        long("usage"),
        long("node"),
    );
    let cut = sections("docs/exporters.md", &text);
    let trails: Vec<Vec<String>> = cut.iter().map(|section| section.trail.clone()).collect();
    assert_eq!(
        trails,
        [vec![], vec!["Usage".to_owned()], vec!["Usage".into(), "With Node".into()]]
    );
    assert!(cut.iter().all(|section| section.title == "Exporters"));
    assert!(cut[0].body.starts_with("Send data\nintro"), "{}", &cut[0].body[..30]);
    assert!(cut[1].body.contains("# no heading") && cut[1].body.contains("--foo-bar"));
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines[cut[1].lines.start as usize - 1], "## Usage {#use}");
    assert_eq!(lines[cut[2].lines.start as usize - 1], "### With Node");
    assert!(text[cut[2].bytes.start as usize..].starts_with("### With Node"));
    assert_eq!(cut[1].lines.end, cut[1].lines.start + 7, "the fence ends it");
}

#[test]
fn markup_is_no_text() {
    let text = "# Title\n\n{{< tabpane text=true >}} See [the guide](https://example.com/secret) \
                <!-- hidden -->and ![a picture](img/none.png)<br>now.\n{.wide}\n\n[ref]: http://gone\n\
                \n<div class=\"boxed\">Boxed &amp; kept</div>\n";
    let cut = sections("a.md", text);
    let body: String = cut.iter().map(|section| section.body.as_str()).collect();
    for word in ["guide", "a picture", "now", "Boxed & kept"] {
        assert!(body.contains(word), "{word} in {body}");
    }
    for markup in ["secret", "hidden", "tabpane", "wide", "gone", "boxed", "none.png", "&amp;"] {
        assert!(!body.contains(markup), "{markup} in {body}");
    }
    assert_eq!(cut[0].title, "Title");
}

#[test]
fn html_is_reduced_to_text() {
    let text = format!(
        "<!DOCTYPE html><html><head><title>Welcome &amp; more</title><style>p {{ color: red }}</style>\
         <meta name=description content='about it'></head><body><nav>menu</nav>\
         <script>if (a < b) alert('code')</script><h1>Welcome</h1><p>{}</p><h2>Second <b>step</b></h2>\
         <p>caf&eacute; {}<pre>x\n  y</pre></body></html>",
        long("first"),
        long("second")
    );
    let cut = sections("index", &text);
    assert_eq!(cut.len(), 2);
    assert_eq!(cut[0].title, "Welcome & more");
    assert!(cut[0].body.starts_with("about it"));
    assert_eq!(cut[1].trail, ["Welcome", "Second step"]);
    assert!(cut[1].body.contains("café") && cut[1].body.contains("x\n  y"));
    for none in ["color", "alert", "menu"] {
        assert!(!cut.iter().any(|section| section.body.contains(none)), "{none}");
    }
    assert!(text[cut[1].bytes.start as usize..].starts_with("<h2>Second"));
}

#[test]
fn short_sections_are_joined_and_long_ones_cut() {
    let list: String = (0..40).map(|n| format!("## Item {n}\n\nA line.\n\n")).collect();
    let cut = sections("list.md", &list);
    assert!(cut.len() < 6, "{} sections", cut.len());
    assert!(cut.iter().any(|section| section.body.contains("Item 39")));
    let prose = format!("{}\n\n", "word ".repeat(150)).repeat(30);
    let cut = sections("long.txt", &prose);
    assert!(cut.len() >= 7 && cut.iter().all(|section| section.body.len() < 3_500));
    let log: String = (0..2_000).map(|n| format!("{n} GET /path 200\n")).collect();
    let cut = sections("access.log", &log);
    assert!(cut.len() > 5);
    assert_eq!(cut[0].lines.start, 1);
    for pair in cut.windows(2) {
        assert_eq!(pair[0].lines.end, pair[1].lines.start, "no line is in two sections");
    }
}

#[test]
fn titles_come_from_front_matter_heading_or_name() {
    assert_eq!(sections("a.md", "+++\ntitle = 'It''s'\n+++\ntext")[0].title, "It's");
    assert_eq!(sections("a.md", "---\ntitle: >-\n  Two\n  lines\n---\ntext")[0].title, "Two lines");
    assert_eq!(sections("a.md", "text\n\nHead\n====\n")[0].title, "Head");
    assert_eq!(sections("docs/error-codes_v2.csv", "a,b\n1,2\n")[0].title, "error codes v2");
    assert_eq!(sections("docs/setup/_index.md", "text")[0].title, "setup");
    let only = sections("a.md", "---\ntitle: Only a title\n---\n");
    assert_eq!(only.len(), 1);
    assert_eq!(only[0].title, "Only a title");
    assert!(sections("a.md", "").is_empty());
}

#[test]
fn languages_are_told_and_inherited() {
    let german = "Der Schlüssel wird nur einmal angezeigt und danach nicht mehr gespeichert. \
                  Wer ihn verliert, muss einen neuen anlegen und den alten widerrufen. "
        .repeat(5);
    let cut = sections("a.md", &format!("# Titel\n\n{german}\n\n## Kurz\n\nrun it now\n"));
    assert!(cut.iter().all(|section| section.lang.code() == "de"), "{cut:?}");
    assert_eq!(Lang::of("オブジェクトストレージの使い方").code(), "ja");
    let code = "opentelemetry instrumentation span exporter にデータを送る設定の方法".repeat(3);
    assert_eq!(Lang::of(&code).code(), "ja", "most letters are Latin");
    assert_eq!(Lang::of("foo bar 12 xyz").code(), "en", "not told by three words");
    let held = ["en", "es", "pt"].map(|code| Lang::from_code(code).unwrap());
    assert_eq!(Lang::asked_in("where is the collector", &held), Lang::from_code("en"));
    assert_eq!(
        Lang::asked_in("donde está el collector y para que sirve", &held),
        Lang::from_code("es")
    );
    assert_eq!(Lang::asked_in("collector yaml", &held), None);
}

#[test]
fn identifiers_are_found_whole_and_in_parts() {
    assert_eq!(
        terms("", "OTEL_EXPORTER_OTLP_ENDPOINT"),
        ["otelexporterotlpendpoint", "otel", "exporter", "otlp", "endpoint"]
    );
    assert_eq!(
        terms("", "ConsoleSpanExporter"),
        ["consolespanexporter", "console", "span", "exporter"]
    );
    assert_eq!(terms("", "HTTPServer"), ["httpserver", "http", "server"]);
    assert_eq!(terms("", "--foo-bar=1"), ["foobar", "foo", "bar", "1"]);
    assert_eq!(
        terms("", "http.server.duration."),
        ["httpserverduration", "http", "server", "duration"]
    );
    assert_eq!(terms("", "E1234 log4j v1.22.3"), ["e1234", "log4j", "v1223", "v1", "22", "3"]);
    assert_eq!(terms("", "10.5 2024-01-15"), ["10.5", "10", "2024-01-15", "2024", "01", "15"]);
    assert_eq!(terms("", "C++ and C# or .NET"), ["cpp", "and", "csharp", "or", "dotnet", "net"]);
    let mut positions = Vec::new();
    words("a fooBar z", |word| positions.push(word.position));
    assert_eq!(positions, [0, 1, 1, 2, 3]);
}

#[test]
fn words_are_folded_and_stemmed() {
    assert_eq!(terms("en", "Running EXPORTERS"), ["run", "export"]);
    assert_eq!(terms("de", "Schlüssel"), terms("de", "SCHLU\u{308}SSEL"), "one form of a letter");
    assert_eq!(terms("", "Straße café Ångström"), ["strasse", "cafe", "angstrom"]);
    assert_eq!(terms("", "ﬁle １２"), ["file", "12"]);
    assert_eq!(terms("ru", "ошибки"), terms("ru", "ошибка"));
}

#[test]
fn scripts_without_blanks_become_pairs() {
    assert_eq!(terms("zh", "对象存储"), ["对象", "象存", "存储"]);
    assert_eq!(
        terms("ja", "鍵 OpenTelemetryの設定"),
        ["鍵", "opentelemetry", "open", "telemetry", "の設", "設定"]
    );
    assert_eq!(terms("ko", "인증을"), ["인증", "증을"]);
    assert_eq!(terms("ja", "ガ"), terms("ja", "\u{30AB}\u{3099}"), "one form of a sign");
    let mut positions = Vec::new();
    words("对象 存储", |word| positions.push(word.position));
    assert!(positions[1] > positions[0] + 1, "runs are no neighbours");
}

fn check(key: &str, text: &str) {
    let lines = text.bytes().filter(|byte| *byte == b'\n').count() as u64 + 1;
    for section in sections(key, text) {
        let bytes = section.bytes.start as usize..section.bytes.end as usize;
        assert!(text.get(bytes).is_some(), "{:?} of {key}: {text:?}", section.bytes);
        assert!(section.lines.start >= 1 && section.lines.start <= section.lines.end);
        assert!(section.lines.end <= lines + 1, "{:?} of {lines}", section.lines);
        words(&section.body, |word| assert!(section.body.get(word.bytes.clone()).is_some()));
    }
}

proptest! {
    #[test]
    fn any_text_is_cut(
        text in proptest::collection::vec(
            prop_oneof![
                Just("# "), Just("\n"), Just("\n\n"), Just("---\n"), Just("+++\n"), Just("title: x\n"),
                Just("```\n"), Just("<h2>"), Just("</h2>"), Just("<p"), Just("<script>"), Just("<!--"),
                Just("{{<"), Just(">}}"), Just("{.a}\n"), Just("&#x110000;"), Just("&amp;"), Just("| a |"),
                Just("\u{feff}"), Just("é"), Just("漢字"), Just("\0"), Just("🦀"), Just("word "), Just("fooBar_x.y "),
                Just("C++"), Just(".NET"), Just("\r\n"), Just("\u{301}"), Just("- "), Just("[a](b)"),
            ],
            0..60,
        ),
        more in ".{0,40}",
    ) {
        let text = text.concat() + &more;
        for key in ["a.md", "a.html", "a.txt", "a.csv", "a", "", "/", "a/.md"] {
            check(key, &text);
        }
    }

    #[test]
    fn long_texts_are_cut_between_characters(word in "[aé漢🦀#\n -]{1,20}", times in 100usize..600) {
        let text = word.repeat(times);
        for key in ["a.md", "a.html", "a.txt", "a.log"] {
            check(key, &text);
        }
    }
}
