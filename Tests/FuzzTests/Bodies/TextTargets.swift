import CulvertPlan

@testable import CulvertSSH

/// Whether a pattern of ssh_config(5) matches, by the textbook: a table over both.
func patternMatches<Element: Equatable>(_ name: [Element], _ pattern: [Element], any: Element, one: Element) -> Bool {
    var row = [Bool](repeating: false, count: name.count + 1)
    row[0] = true
    for part in pattern {
        var next = [Bool](repeating: false, count: name.count + 1)
        next[0] = row[0] && part == any
        for index in name.indices {
            next[index + 1] =
                part == any ? row[index + 1] || next[index] : row[index] && (part == one || part == name[index])
        }
        row = next
    }
    return row[name.count]
}

extension FuzzTarget {
    /// ssh's patterns: name, NUL, pattern.
    static let patterns = FuzzTarget(
        "Patterns", maximumLength: 96,
        seeds: {
            ["host.example\u{0}*.example", "a\u{0}?", "aaab\u{0}*a*b", "\u{0}**", "10.0.0.1\u{0}10.?.*.1", "é\u{0}?"]
                .map { Array($0.utf8) }
        }
    ) { bytes in
        let parts = bytes.split(separator: 0, maxSplits: 1, omittingEmptySubsequences: false).map(Array.init)
        guard parts.count == 2 else { return }
        let expected = patternMatches(parts[0], parts[1], any: UInt8(ascii: "*"), one: UInt8(ascii: "?"))
        promise(Wildcard.matches(parts[0], pattern: parts[1]) == expected, "patterns match as the textbook says")
        checkHostPattern(parts[0], parts[1])
    }

    /// Text from a peer on its way to a terminal.
    static let text = FuzzTarget(
        "Text", maximumLength: 2500,
        seeds: {
            [
                "plain", "\u{1b}[2J\u{7}", "\u{202e}\u{200b}\u{e000}", "grün 漢字 🙂",
                String(repeating: "\u{1}", count: 500),
            ]
            .map { Array($0.utf8) } + [[0xff, 0xc0, 0x80, 0xed, 0xa0, 0x80, 0xf4, 0x90]]
        }
    ) { bytes in
        for text in [PeerText(bytes), PeerText(String(decoding: bytes, as: UTF8.self))] {
            promise(isOneSafeLine(text.description), "what is shown is safe")
            let length = text.description.unicodeScalars.count
            promise(length <= PeerText.maximumLength + 1, "what is shown is cut: \(length)")
        }
    }
}
