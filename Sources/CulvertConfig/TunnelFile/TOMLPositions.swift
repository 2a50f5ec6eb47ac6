/// Where in a text something stands: both from 1, the column in characters of Unicode.
struct TextPosition: Hashable, Sendable, Comparable {
    var line: Int
    var column: Int

    static func < (left: TextPosition, right: TextPosition) -> Bool {
        (left.line, left.column) < (right.line, right.column)
    }
}

/// Where the keys and the elements of arrays of a TOML document stand, which the library that reads the document does
/// not tell.
///
/// Reads a document as far as it is valid. Behind a mistake, and of keys within inline tables, it may know no place, and
/// then answers with that of the table around it.
struct TOMLPositions {
    /// The names from the root down; an element of an array by its number.
    typealias Path = [String]

    /// Elements are noted as deep as this; what lies deeper has the place of the array around it.
    private static let deepest = 8
    private static let mostParts = 64

    /// What the library takes for impossible: it ends the program, so it must not be shown a document that has one.
    struct Mistake {
        let place: TextPosition
        let text: String
    }

    /// The first of its kind; nothing behind it was read.
    private(set) var mistake: Mistake?
    private var places: [Path: TextPosition] = [:]
    private var scanner: Scanner

    init(_ text: String) {
        scanner = Scanner(text)
        var table: Path = []
        while mistake == nil, scanner.toNextLineWithContent() {
            let begin = scanner.position
            if scanner.character == "[" {
                scanner.advance()
                if scanner.character == "[" { scanner.advance() }
                scanner.skip { $0 == " " || $0 == "\t" }
                guard scanner.isAtName else {
                    mistake = Mistake(
                        place: scanner.position,
                        text: "a table's name begins with a letter, a digit, _ or -; put it in quotes: [tunnel.\"…\"]")
                    return
                }
                table = keyPath()
                scanner.skipLine()
                // A header that comes again (an array of tables) does not move the first one.
                note(table, begin)
            } else {
                let path = table + keyPath()
                note(path, begin)
                scanner.skip { $0 == "=" || $0 == " " || $0 == "\t" }
                value(path)
                scanner.skipLine()
            }
        }
    }

    /// The place of `path`, or of the nearest thing around it.
    func place(of path: Path) -> TextPosition {
        var path = path
        while !path.isEmpty {
            if let place = places[path] { return place }
            path.removeLast()
        }
        return TextPosition(line: 1, column: 1)
    }

    /// Also what a dotted key or header implies stands where that begins.
    private mutating func note(_ path: Path, _ position: TextPosition) {
        var path = path
        // What is around something noted is noted too.
        while !path.isEmpty, places[path] == nil {
            places[path] = position
            path.removeLast()
        }
    }

    private mutating func keyPath() -> Path {
        let place = scanner.position
        let parts = scanner.keyPath()
        guard parts.count > Self.mostParts else { return parts }
        mistake = Mistake(place: place, text: "a key of \(parts.count) parts: \(Self.mostParts) is the most")
        return []
    }

    /// Passes over a value; the elements of an array are noted on the way.
    private mutating func value(_ path: Path, depth: Int = 0) {
        guard scanner.character == "[", depth < Self.deepest else {
            note(scanner.skipScalarOrInlineTable())
            return
        }
        scanner.advance()
        var number = 0
        while mistake == nil, scanner.toNextElement() {
            if let text = scanner.impossibleInArray { return note(text) }
            note(path + [String(number)], scanner.position)
            value(path + [String(number)], depth: depth + 1)
            number += 1
        }
    }

    /// A mistake here; nil is none.
    private mutating func note(_ text: String?) {
        if let text { mistake = Mistake(place: scanner.position, text: text) }
    }
}

/// A place in a text, and what TOML has there.
private struct Scanner {
    private let characters: [Unicode.Scalar]
    private var index = 0
    private(set) var position = TextPosition(line: 1, column: 1)

    init(_ text: String) {
        characters = Array(text.unicodeScalars)
        // The byte order mark is no part of the document.
        if characters.first == "\u{FEFF}" { index = 1 }
    }

    var character: Unicode.Scalar? { index < characters.count ? characters[index] : nil }

    /// Whether a key begins here, or the document or the header ends.
    var isAtName: Bool {
        guard let character else { return true }
        return character.properties.isAlphabetic && character.isASCII
            || "0123456789_-\"']".unicodeScalars.contains(character)
    }

    mutating func advance(_ count: Int = 1) {
        for _ in 0..<count {
            guard let passed = character else { return }
            index += 1
            if passed == "\n" {
                position.line += 1
                position.column = 1
            } else {
                position.column += 1
            }
        }
    }

    mutating func skip(_ isSkipped: (Unicode.Scalar) -> Bool) {
        while let character, isSkipped(character) { advance() }
    }

    /// To the end of the line, which a comment may fill.
    mutating func skipLine() { skip { $0 != "\n" } }

    /// Whether there is another line with something in it; the place is then its first character.
    mutating func toNextLineWithContent() -> Bool {
        skipBlanks { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" }
        return character != nil
    }

    /// In an array: whether there is another element; the place is then its first character, else behind the array.
    mutating func toNextElement() -> Bool {
        skipBlanks { $0 == " " || $0 == "\t" || $0 == "\r" || $0 == "\n" || $0 == "," }
        guard let character else { return false }
        guard character != "]" else {
            advance()
            return false
        }
        return true
    }

    private mutating func skipBlanks(_ isBlank: (Unicode.Scalar) -> Bool) {
        skip(isBlank)
        while character == "#" {
            skipLine()
            skip(isBlank)
        }
    }

    /// A dotted key, up to what ends it.
    mutating func keyPath() -> [String] {
        var names: [String] = []
        while true {
            skip { $0 == " " || $0 == "\t" }
            names.append(name())
            skip { $0 == " " || $0 == "\t" }
            guard character == "." else { return names }
            advance()
        }
    }

    private mutating func name() -> String {
        let begin = index
        if character == "\"" || character == "'" {
            skipString()
            return text(begin + 1, max(begin + 1, index - 1))
        }
        skip { !" \t\r\n.=]#".unicodeScalars.contains($0) }
        return text(begin, index)
    }

    private func text(_ begin: Int, _ end: Int) -> String {
        var text = String.UnicodeScalarView()
        text.append(contentsOf: characters[begin..<end])
        return String(text)
    }

    /// A string of any of the four kinds, with its quotes.
    private mutating func skipString() {
        guard let quote = character else { return }
        let isLong = startsWith(quote, 3)
        let length = isLong ? 3 : 1
        advance(length)
        while let character, !startsWith(quote, length), isLong || character != "\n" {
            advance(character == "\\" && quote == "\"" ? 2 : 1)
        }
        advance(length)
        // A long string may end in one or two quotes of its own.
        if isLong { skip { $0 == quote } }
    }

    private func startsWith(_ quote: Unicode.Scalar, _ count: Int) -> Bool {
        index + count <= characters.count && characters[index..<index + count].allSatisfy { $0 == quote }
    }

    /// What an array can neither have nor end with, in words.
    var impossibleInArray: String? {
        switch character {
        case "}": "} in an array: close it with ] first"
        case "\u{85}", "\u{2028}", "\u{2029}": "a line break that TOML does not know: put a plain one in its place"
        default: nil
        }
    }

    private func isEnd(_ index: Int) -> Bool {
        guard characters.indices.contains(index) else { return true }
        return characters[index].properties.isWhitespace || "=,#[]{}\"'".unicodeScalars.contains(characters[index])
    }

    /// What is neither in quotes nor in brackets, from here on.
    private var bareWord: ArraySlice<Unicode.Scalar> {
        var end = index
        while !isEnd(end) { end += 1 }
        return characters[index..<end]
    }

    /// Why it cannot be passed over; nil: it was. No key of a tunnel takes a date, a time or a fraction, and of broken
    /// ones the library takes some for impossible.
    mutating func skipScalarOrInlineTable() -> String? {
        var open: [Unicode.Scalar] = []
        var isValueNext = true
        while let character {
            if open.last == "[", let text = impossibleInArray { return text }
            switch character {
            case "\"", "'":
                skipString()
                isValueNext = false
            case "{", "[":
                open.append(character)
                advance()
                isValueNext = character == "["
            case "}", "]":
                if open.popLast() == nil { return nil }
                advance()
                isValueNext = false
            case "=":
                advance()
                isValueNext = true
            case ",", "#", "\n":
                if open.isEmpty { return nil }
                if character == "," { isValueNext = open.last == "[" }
                if character == "#" { skipLine() } else { advance() }
            default:
                let word = bareWord
                if isValueNext, ("0"..."9").contains(character), word.contains("-") || word.contains(":") {
                    return "a date, a time or a fraction means nothing here: put a string in quotes"
                }
                if !word.isEmpty { isValueNext = false }
                advance(max(word.count, 1))
            }
        }
        return nil
    }
}
