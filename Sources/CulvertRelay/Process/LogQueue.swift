/// Lines that wait to be written. A value: it writes nothing.
///
/// Invariants: at most `Limits.lines` wait, and no more than `Limits.bytes` of text, but for errors, which have room of
/// their own; what was refused is counted, and told in the place where it is missing.
struct LogQueue {
    struct Limits {
        /// A burst of a busy process at `-vv`; beyond it whoever reads does not keep up.
        var lines = 4096
        var bytes = 1024 * 1024
        /// Errors may pass those by so much: the last line before an end is one.
        var errorLines = 256
        var errorBytes = 64 * 1024
    }

    private struct Entry {
        let line: Journal.Line
        /// Lines that were refused between the one before and this one.
        var droppedBefore: Int
    }

    private let limits: Limits
    private var entries: [Entry] = []
    /// Those before it have been taken.
    private var head = 0
    private var bytes = 0
    /// Refused behind the last entry.
    private var dropped = 0

    init(_ limits: Limits = Limits()) { self.limits = limits }

    var isEmpty: Bool { head == entries.count && dropped == 0 }

    mutating func add(_ line: Journal.Line) {
        let isError = line.level == .error
        let lines = limits.lines + (isError ? limits.errorLines : 0)
        let length = limits.bytes + (isError ? limits.errorBytes : 0)
        guard entries.count - head < lines, bytes + line.text.utf8.count <= length else { return dropped += 1 }
        entries.append(Entry(line: line, droppedBefore: dropped))
        bytes += line.text.utf8.count
        dropped = 0
    }

    /// The next one to be written, nil when none waits.
    mutating func next() -> Journal.Line? {
        guard head < entries.count else {
            guard dropped > 0 else { return nil }
            defer { dropped = 0 }
            return Self.tells(dropped)
        }
        let missing = entries[head].droppedBefore
        guard missing == 0 else {
            entries[head].droppedBefore = 0
            return Self.tells(missing)
        }
        let line = entries[head].line
        bytes -= line.text.utf8.count
        head += 1
        // Now and then: each line is moved once at most.
        if head == entries.count || head > limits.lines {
            entries.removeFirst(head)
            head = 0
        }
        return line
    }

    private static func tells(_ count: Int) -> Journal.Line {
        let lines = count == 1 ? "line was" : "lines were"
        return Journal.Line(.error, "\(count) \(lines) dropped: whoever reads the log does not keep up", kind: nil)
    }
}
