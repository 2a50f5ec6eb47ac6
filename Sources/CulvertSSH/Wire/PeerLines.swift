/// Text of several lines that came from elsewhere (a banner, an instruction, a menu with its question): each line by itself
/// is safe to show, and who shows it says whose words it is.
///
/// Invariant: at most `maximumLines` and one more, which counts what was left out; the last line is not empty unless it
/// is the only one.
public struct PeerLines: Sendable, Hashable, CustomStringConvertible {
    /// A screen of text.
    public static let maximumLines = 50

    public let lines: [PeerText]

    public init(_ bytes: some Sequence<UInt8>) {
        let lineFeed = UInt8(ascii: "\n")
        let text = Array(bytes)
        var all = text.split(separator: lineFeed, maxSplits: Self.maximumLines, omittingEmptySubsequences: false)
        while let last = all.last, last.isEmpty { all.removeLast() }
        var lines = all.prefix(Self.maximumLines).map { line in
            PeerText(line.last == UInt8(ascii: "\r") ? line.dropLast() : line)
        }
        if all.count > Self.maximumLines {
            let left = all[Self.maximumLines].count
            lines.append(PeerText("(\(left) bytes more are not shown)"))
        }
        self.lines = lines
    }

    /// Lines that were made so before.
    public init(_ lines: [PeerText]) { self.lines = lines }

    public init(_ text: String) { self.init(text.utf8) }

    /// The lines with line breaks between them.
    public var description: String { lines.map(\.description).joined(separator: "\n") }
}
