internal import CulvertSSH

/// Where the relay says what happens: one line an event, already safe to show. Not used on the data path.
public struct Journal: Sendable {
    /// As in ssh: `-q` leaves errors, `-v` adds a line per flow, `-vv` the steps.
    public enum Level: Int, Sendable, Comparable {
        case error, info, verbose, debug
        public static func < (left: Level, right: Level) -> Bool { left.rawValue < right.rawValue }
    }

    private let level: Level
    /// At which `info` is said.
    private var newsLevel = Level.info
    private let write: @Sendable (Level, String) -> Void

    /// Lines above `level` are not made. `write` is called from any thread.
    public init(level: Level, write: @escaping @Sendable (Level, String) -> Void) {
        self.level = level
        self.write = write
    }

    /// The same place for one of several: each line begins with `name`.
    public func named(_ name: String, level: Level) -> Journal {
        let write = write
        return Journal(level: level) { level, text in
            let lines = text.split(separator: "\n", omittingEmptySubsequences: false).map { "\(name): \($0)" }
            write(level, lines.joined(separator: "\n"))
        }
    }

    /// The same for a process that another one has for a pipe: news of a tunnel is for those who ask for it.
    var ofPipe: Journal {
        var quieter = self
        quieter.newsLevel = .verbose
        return quieter
    }

    func says(_ level: Level) -> Bool { level <= self.level }

    func error(_ text: @autoclosure () -> String) { say(.error, text) }
    func info(_ text: @autoclosure () -> String) { say(newsLevel, text) }
    func verbose(_ text: @autoclosure () -> String) { say(.verbose, text) }
    func debug(_ text: @autoclosure () -> String) { say(.debug, text) }

    private func say(_ level: Level, _ text: () -> String) {
        if says(level) { write(level, SafeLine.escaped(text())) }
    }
}
