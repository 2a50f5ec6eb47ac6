/// The words of a setting's value as ssh_config(5) splits a line: by blanks, with double or single quotes, and a
/// backslash before a quote, a backslash or a blank. Byte by byte, so that no combining character hides a quote.
enum SettingWords {
    /// nil: a quote is not closed. What is no UTF-8 comes out with replacement characters.
    static func split(_ text: some Collection<UInt8>) -> [String]? {
        var words: [String] = []
        var word: [UInt8] = []
        var isInWord = false
        var quote: UInt8?
        var rest = Array(text)[...]
        func end() {
            if isInWord { words.append(String(decoding: word, as: UTF8.self)) }
            word.removeAll(keepingCapacity: true)
            isInWord = false
        }
        while let byte = rest.popFirst() {
            switch byte {
            case Byte.backslash where rest.first.map { isEscapable($0, in: quote) } == true:
                word.append(rest.removeFirst())
                isInWord = true
            case _ where byte == quote: quote = nil
            case Byte.doubleQuote, Byte.singleQuote:
                if quote == nil { quote = byte } else { word.append(byte) }
                isInWord = true
            case Byte.space where quote == nil, Byte.tab where quote == nil: end()
            case Byte.hash where !isInWord: return words
            default:
                word.append(byte)
                isInWord = true
            }
        }
        end()
        return quote == nil ? words : nil
    }

    private static func isEscapable(_ byte: UInt8, in quote: UInt8?) -> Bool {
        byte == Byte.backslash || byte == Byte.doubleQuote || byte == Byte.singleQuote
            || (quote == nil && byte == Byte.space)
    }
}

/// The bytes that mean something in a configuration file.
enum Byte {
    static let tab = UInt8(ascii: "\t")
    static let space = UInt8(ascii: " ")
    static let doubleQuote = UInt8(ascii: "\"")
    static let singleQuote = UInt8(ascii: "'")
    static let backslash = UInt8(ascii: "\\")
    static let equals = UInt8(ascii: "=")
    static let hash = UInt8(ascii: "#")
    static let lineFeed = UInt8(ascii: "\n")

    static func isBlank(_ byte: UInt8) -> Bool { byte == space || byte == tab || byte == lineFeed || byte == 0x0d }
}
