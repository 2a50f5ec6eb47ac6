/// Base64 of RFC 4648 §4, in the form that OpenSSH's files use.
///
/// Inlinable: what is generic in one module is not specialised in another, and files of host keys are long.
public enum Base64 {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    @inlinable static var padding: UInt8 { UInt8(ascii: "=") }

    public static func encode(_ bytes: some Sequence<UInt8>, padded: Bool = true) -> String {
        var text: [UInt8] = []
        var pending: UInt32 = 0
        var bits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                text.append(alphabet[Int(pending >> UInt32(bits) & 63)])
            }
        }
        if bits > 0 { text.append(alphabet[Int(pending << UInt32(6 - bits) & 63)]) }
        while padded, text.count % 4 != 0 { text.append(padding) }
        return String(decoding: text, as: UTF8.self)
    }

    /// nil: a character outside the alphabet, padding that is missing, too much or not at the end, or bits left over
    /// that are not zero: two texts never mean the same bytes.
    @inlinable public static func decode(_ text: some Collection<UInt8>) -> [UInt8]? {
        guard text.count % 4 == 0 else { return nil }
        var bytes: [UInt8] = []
        // Reserved at once: bytes of a private key must not stay behind in a buffer that was outgrown.
        bytes.reserveCapacity(text.count / 4 * 3)
        var decoder = Decoder()
        for character in text {
            switch decoder.take(character) {
            case .nothing: break
            case .byte(let byte): bytes.append(byte)
            case .refused: return nil
            }
        }
        return decoder.isWhole ? bytes : nil
    }

    @inlinable static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a")) + 26
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0")) + 52
        case UInt8(ascii: "+"): 62
        case UInt8(ascii: "/"): 63
        default: nil
        }
    }

    /// Takes one character after another, for those who pass over line breaks, keep what comes in memory of their own, or
    /// want the beginning alone.
    public struct Decoder: BitwiseCopyable {
        public enum Step: BitwiseCopyable {
            case nothing
            /// The character completes this byte.
            case byte(UInt8)
            /// It is none of the alphabet, or comes behind padding.
            case refused
        }

        @usableFromInline var pending: UInt32 = 0
        @usableFromInline var bits = 0
        @usableFromInline var pads = 0

        @inlinable public init() {}

        @inlinable public mutating func take(_ character: UInt8) -> Step {
            guard character != Base64.padding else {
                pads += 1
                return .nothing
            }
            guard pads == 0, let value = Base64.value(of: character) else { return .refused }
            pending = pending << 6 | value
            bits += 6
            guard bits >= 8 else { return .nothing }
            bits -= 8
            let byte = UInt8(truncatingIfNeeded: pending >> UInt32(bits))
            pending &= (1 << UInt32(bits)) - 1
            return .byte(byte)
        }

        /// Padding has come.
        @inlinable public var isPadded: Bool { pads > 0 }

        /// The text may end here: it is padded as it must be, and the bits left over are zero.
        @inlinable public var isWhole: Bool { pads <= 2 && bits == pads * 2 && pending == 0 }
    }
}
