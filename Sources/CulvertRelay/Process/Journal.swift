internal import CulvertSSH

/// Where the relay says what happens: one line an event, already safe to show. Not used on the data path.
public struct Journal: Sendable {
    /// As in ssh: `-q` leaves errors, `-v` adds a line per flow, `-vv` the steps.
    public enum Level: Int, Sendable, Comparable {
        case error, info, verbose, debug
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    /// One thing that is said.
    public struct Line: Sendable {
        public let level: Level
        /// One line, or several.
        public let text: String
        /// What lines are summed up with when there are many of them; nil: each is said.
        public let kind: String?
        /// The server said it before the login, which is no matter of the log.
        public var isBanner = false

        /// The one place through which all that is said goes: whatever it is made of, it is safe to show.
        public init(_ level: Level, _ text: String, kind: String?) {
            self.level = level
            self.text = SafeLine.escaped(text)
            self.kind = kind.map(SafeLine.escaped)
        }
    }

    let level: Level
    /// At which `info` is said.
    private(set) var newsLevel = Level.info
    private let write: LogThread.Write
    private let log: LogThread?

    /// Lines above `level` are not made.
    public init(level: Level, log: LogThread) {
        self.init(level: level, log: log) { log.post($0) }
    }

    /// For those who have no log thread. `write` is called from any thread.
    init(level: Level, write: @escaping LogThread.Write) { self.init(level: level, log: nil, write: write) }

    /// In a process that says it all to another one.
    init(level: Level, newsLevel: Level, write: @escaping LogThread.Write) {
        self.init(level: level, log: nil, write: write)
        self.newsLevel = newsLevel
    }

    private init(level: Level, log: LogThread?, write: @escaping LogThread.Write) {
        self.level = level
        self.log = log
        self.write = write
    }

    /// The same place for one of several: each line begins with `name`.
    public func named(_ name: String, level: Level) -> Journal {
        let write = write
        return Journal(level: level, log: log) { line in
            let lines = line.text.split(separator: "\n", omittingEmptySubsequences: false).map { "\(name): \($0)" }
            write(Line(line.level, lines.joined(separator: "\n"), kind: line.kind.map { "\(name): \($0)" }))
        }
    }

    /// The same for a process that another one has for a pipe: news of a tunnel is for those who ask for it.
    var ofPipe: Journal {
        var quieter = self
        quieter.newsLevel = .verbose
        return quieter
    }

    func says(_ level: Level) -> Bool { level <= self.level }

    /// A failure. Many of one kind are summed up; the kind is the text, unless each is told with something of its own (a
    /// client's address).
    public func error(_ text: @autoclosure () -> String, kind: @autoclosure () -> String? = nil) {
        guard says(.error) else { return }
        let text = text()
        write(Line(.error, text, kind: kind() ?? text))
    }

    public func info(_ text: @autoclosure () -> String) { say(newsLevel, text) }
    public func verbose(_ text: @autoclosure () -> String) { say(.verbose, text) }
    func debug(_ text: @autoclosure () -> String) { say(.debug, text) }

    /// What was asked for: said whatever the level.
    func report(_ text: String) { write(Line(.error, text, kind: nil)) }

    /// A line that another process has made for this place.
    func pass(_ line: Line) { write(line) }

    private func say(_ level: Level, _ text: () -> String) {
        if says(level) { write(Line(level, text(), kind: nil)) }
    }

    // MARK: The log's thread

    /// The process has forked, if it does: the log's thread may begin.
    func begin() { log?.begin() }

    /// Waits, not for long, until what was said is written.
    func settle() { log?.settle() }

    /// The same at the end of the process.
    func finish() { log?.finish() }
}
