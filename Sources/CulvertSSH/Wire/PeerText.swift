/// Text that came from elsewhere (a banner, a reason, a name), made safe to show.
///
/// Invariant: `description` has no control character, no line break, no bidirectional override and at most
/// `maximumLength` characters, escapes spelled out, and an ellipsis where it was cut. So it can reach a log, a terminal
/// or a metric as it stands. There is no way to the raw bytes: whoever needs them must not go through this type.
public struct PeerText: Sendable, Hashable, CustomStringConvertible {
    /// Longer texts are cut here: one line of a log, whatever the peer sends (RFC 4253 §11.1 sets no limit).
    public static let maximumLength = 400

    public let description: String

    /// Bytes as they came from the wire; what is not UTF-8 is replaced (RFC 3629). One character more is looked at than is
    /// shown, so that a cut shows.
    public init(_ bytes: some Sequence<UInt8>) {
        self.init(String(decoding: Array(bytes.prefix((Self.maximumLength + 1) * 4)), as: UTF8.self))
    }

    public init(_ text: String) {
        var safe = ""
        var count = 0
        for scalar in text.unicodeScalars {
            let escape = SafeLine.isUnsafe(scalar) ? SafeLine.escape(scalar) : nil
            count += escape?.utf8.count ?? 1
            if count > Self.maximumLength {
                safe += "…"
                break
            }
            if let escape { safe += escape } else { safe.unicodeScalars.append(scalar) }
        }
        description = safe
    }
}
