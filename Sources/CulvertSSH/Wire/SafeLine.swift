/// Whatever a line is made of, safe for a log, a terminal or a metric: for the one place through which lines leave. Unlike
/// `PeerText` it cuts nothing, so it is no substitute for that where a text comes from elsewhere.
public enum SafeLine {
    /// The same text with every control and format character spelled out; line breaks stay.
    public static func escaped(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0 != "\n" && isUnsafe($0) }) else { return text }
        var safe = ""
        for scalar in text.unicodeScalars {
            if scalar != "\n" && isUnsafe(scalar) {
                safe += escape(scalar)
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }

    static func escape(_ scalar: Unicode.Scalar) -> String { "\\u{" + String(scalar.value, radix: 16) + "}" }

    /// Control and format characters can move the cursor, hide text or reverse it (RFC 4251 §9.2).
    static func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
        if (0x20..<0x7f).contains(scalar.value) { return false }
        return switch scalar.properties.generalCategory {
        case .control, .format, .lineSeparator, .paragraphSeparator, .surrogate, .privateUse, .unassigned: true
        default: false
        }
    }
}
