internal import CulvertSSH
internal import Glibc

/// Which lines of a known_hosts file are worth being read whole. A file may have millions: what a line is about is seen
/// from its first bytes, without any memory.
struct LineInterest: Sendable {
    /// In lower case; nil: every line's host.
    let names: [[UInt8]]?
    /// As they stand in a line; nil: every key.
    let keys: [[UInt8]]?

    /// Every line.
    static var all: LineInterest { LineInterest(names: nil, keys: nil) }

    /// Lines that may be about one of these.
    static func hosts(_ names: [String]) -> LineInterest {
        LineInterest(names: names.map { Array($0.utf8) }, keys: nil)
    }

    /// Lines that hold one of these keys.
    static func holders(of keys: [PublicKey]) -> LineInterest {
        LineInterest(names: nil, keys: keys.map { Array(Base64.encode($0.blob).utf8) })
    }

    /// Whether the line may matter. One with a marker or with a pattern always may, as far as names go.
    func mayMatter(_ line: UnsafeRawBufferPointer) -> Bool {
        if let keys { return keys.contains { unsafe Self.hasWord($0, line) } }
        guard let names else { return true }
        var start = 0
        while start < line.count, unsafe Self.isBlank(line[start]) { start += 1 }
        guard start < line.count else { return false }
        switch unsafe line[start] {
        case UInt8(ascii: "#"): return false
        case UInt8(ascii: "@"): return true
        case UInt8(ascii: "|"):
            return unsafe HashedName.isOne(of: names, UnsafeRawBufferPointer(rebasing: line[start...])) ?? true
        default: break
        }
        var place = start
        while place < line.count {
            let byte = unsafe line[place]
            switch byte {
            case UInt8(ascii: "*"), UInt8(ascii: "?"), UInt8(ascii: "!"): return true
            case UInt8(ascii: ","), UInt8(ascii: " "), UInt8(ascii: "\t"), UInt8(ascii: "\r"):
                if unsafe Self.isOne(of: names, line, start..<place) { return true }
                if byte != UInt8(ascii: ",") { return false }
                start = place + 1
            default: break
            }
            place += 1
        }
        return unsafe Self.isOne(of: names, line, start..<place)
    }

    /// A word may go on behind it: the line is read whole then.
    private static func hasWord(_ word: [UInt8], _ line: UnsafeRawBufferPointer) -> Bool {
        guard line.count > word.count else { return false }
        return unsafe word.withUnsafeBytes { word in
            for place in 1...(line.count - word.count) where unsafe isBlank(line[place - 1]) {
                if unsafe memcmp(line.baseAddress! + place, word.baseAddress!, word.count) == 0 { return true }
            }
            return false
        }
    }

    private static func isBlank(_ byte: UInt8) -> Bool { byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") }

    private static func isOne(of names: [[UInt8]], _ line: UnsafeRawBufferPointer, _ range: Range<Int>) -> Bool {
        for name in names where name.count == range.count {
            let difference = unsafe name.withUnsafeBytes {
                unsafe strncasecmp(
                    (line.baseAddress! + range.lowerBound).assumingMemoryBound(to: CChar.self),
                    $0.baseAddress!.assumingMemoryBound(to: CChar.self), range.count)
            }
            if difference == 0 { return true }
        }
        return false
    }
}

extension KnownHosts {
    /// A line is never longer, bytes: thousands of names fit.
    static let longestLine = 1 << 20

    /// Adds the lines of one file that matter, a piece of the file at a time.
    mutating func add(fileAt path: String) throws(LocalFile.Failure) {
        // What of a line has come so far.
        var rest: [UInt8] = []
        var line = 1
        try unsafe LocalFile(path: path).readPieces { piece throws(LocalFile.Failure) in
            guard rest.count <= Self.longestLine else { throw .tooLarge }
            guard let end = unsafe piece.lastIndex(of: UInt8(ascii: "\n")) else {
                unsafe rest += piece
                return
            }
            // The first line of this piece is the end of the one that the pieces before have begun.
            if rest.isEmpty {
                line += unsafe add(lines: UnsafeRawBufferPointer(rebasing: piece[..<end]), file: path, first: line)
            } else {
                let first = unsafe piece.firstIndex(of: UInt8(ascii: "\n")) ?? end
                unsafe rest += UnsafeRawBufferPointer(rebasing: piece[..<first])
                line += unsafe rest.withUnsafeBytes { unsafe add(lines: $0, file: path, first: line) }
                rest.removeAll(keepingCapacity: true)
                if first < end {
                    let whole = unsafe UnsafeRawBufferPointer(rebasing: piece[(first + 1)..<end])
                    line += unsafe add(lines: whole, file: path, first: line)
                }
            }
            unsafe rest += UnsafeRawBufferPointer(rebasing: piece[(end + 1)...])
        }
        if !rest.isEmpty { _ = unsafe rest.withUnsafeBytes { unsafe add(lines: $0, file: path, first: line) } }
    }

    /// Adds the lines of one file.
    mutating func add(_ contents: [UInt8], file: String) {
        _ = unsafe contents.withUnsafeBytes { unsafe add(lines: $0, file: file, first: 1) }
    }

    /// Lines with line breaks between them, and none behind the last. Returns how many there are.
    private mutating func add(lines: UnsafeRawBufferPointer, file: String, first: Int) -> Int {
        var number = first
        var start = 0
        while true {
            let left = lines.count - start
            var end = lines.count
            if left > 0, let found = unsafe memchr(lines.baseAddress! + start, 10, left) {
                end = unsafe found - UnsafeMutableRawPointer(mutating: lines.baseAddress!)
            }
            let line = unsafe UnsafeRawBufferPointer(rebasing: lines[start..<end])
            if unsafe !line.isEmpty && interest.mayMatter(line) {
                // A carriage return before the line's end belongs to the end: else a revocation in such a file is lost.
                var bytes = unsafe Array(line)
                if bytes.last == UInt8(ascii: "\r") { bytes.removeLast() }
                add(line: bytes[...], place: Place(file: file, line: number))
            }
            number += 1
            guard end < lines.count else { return number - first }
            start = end + 1
        }
    }
}
