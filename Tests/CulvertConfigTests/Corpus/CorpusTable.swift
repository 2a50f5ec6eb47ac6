import Foundation

/// The cases that are text files beside this one, in `Tables`.
///
/// `=== name :: line :: line` begins a file, which is read with each of the lines; `--- name` begins a further file beside
/// it, for an Include. `<CR>`, `<TAB>` and `<FF>` stand for those characters, and `<END>` for the end of a file without a
/// line feed. In `lines.txt` each line is a case without a file. In a line, double quotes hold what has blanks, or nothing.
struct CorpusTable {
    /// Files, each with its lines.
    static let files = ["vendors", "people", "odd"].flatMap { blocks(text($0)) }
    static let lines = text("lines").split(separator: "\n").filter { !$0.hasPrefix("#") }.map(String.init)

    static let cases =
        files.flatMap(\.cases) + lines.map { CorpusCase("line: \($0)", file: "", words: words($0), more: [:]) }

    let name: String
    let lines: [String]
    /// Of the file itself, and of those beside it.
    let texts: [(name: String, text: String)]

    private var cases: [CorpusCase] {
        let more = Dictionary(uniqueKeysWithValues: texts.dropFirst().map { ($0.name, $0.text) })
        return lines.map { CorpusCase("\(name): \($0)", file: texts[0].text, words: Self.words($0), more: more) }
    }

    private static func text(_ name: String) -> String {
        let path = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Tables/\(name).txt"
        // A table that is missing shows in the count of cases.
        return (try? String(contentsOfFile: path, encoding: .utf8)) ?? ""
    }

    private static func blocks(_ text: String) -> [CorpusTable] {
        ("\n" + text).components(separatedBy: "\n=== ").dropFirst().map { block in
            let end = block.firstIndex(of: "\n") ?? block.endIndex
            let heading = block[..<end].components(separatedBy: " :: ")
            let parts = block[end...].components(separatedBy: "\n--- ")
            let others = parts.dropFirst().map { part in
                let lines = part.split(separator: "\n", maxSplits: 1, omittingEmptySubsequences: false)
                return (name: String(lines[0]), text: plain(lines.count > 1 ? lines[1] : ""))
            }
            return CorpusTable(
                name: heading[0], lines: Array(heading.dropFirst()),
                texts: [(name: "config", text: plain(parts[0].dropFirst()))] + others)
        }
    }

    private static func plain(_ text: some StringProtocol) -> String {
        var text = String(text)
        while text.hasSuffix("\n\n") { text.removeLast() }
        if !text.hasSuffix("\n") { text += "\n" }
        for (sign, character) in [("<CR>", "\r"), ("<TAB>", "\t"), ("<FF>", "\u{c}"), ("<END>\n", "")] {
            text = text.replacingOccurrences(of: sign, with: character)
        }
        return text
    }

    private static func words(_ line: String) -> [String] {
        var words: [String] = []
        var word: String?
        var isQuoted = false
        for character in line {
            switch character {
            case "\"":
                isQuoted.toggle()
                word = word ?? ""
            case " " where !isQuoted:
                if let whole = word { words.append(whole) }
                word = nil
            default: word = (word ?? "") + String(character)
            }
        }
        return words + (word.map { [$0] } ?? [])
    }
}
