internal import CulvertConfig
internal import CulvertIO
internal import CulvertIdentity
internal import CulvertRelay
internal import CulvertSSH
internal import Glibc
internal import Logging

/// Where culvert's lines go: standard error, a file (`-E`), or the system's log (`-y`).
struct LogOutput {
    struct Failure: Error {
        let description: String
    }

    let journal: Journal
    /// The same place for lines that a person must see whatever the level: questions' answers, warnings of host keys.
    let notice: @Sendable (String) -> Void
    /// Takes what a server says before the login: as with ssh it is no matter of the log, and goes to standard error, where
    /// news are wanted.
    let banner: @Sendable (String) -> Void
    private let log: LogThread

    /// Opens it and says the notes of the command line where they are wanted; nil when the file cannot be written, which
    /// standard error is then told.
    static func open(_ options: OutputOptions, notes: [String]) -> LogOutput? {
        do throws(Failure) {
            let output = try LogOutput(options)
            if options.verbosity >= .verbose { notes.forEach(output.notice) }
            return output
        } catch {
            tell("culvert: \(error.description)")
            return nil
        }
    }

    /// Says on standard error why the process ends. Nobody who does not read there keeps it from ending.
    static func tell(_ text: String) {
        let log = LogThread { writeLine($0.text, to: STDERR_FILENO) }
        log.post(Journal.Line(.error, text, kind: nil))
        log.finish()
    }

    /// For one of several tunnels: its lines begin with its name, and are those that it wants. Its notes are said.
    func of(_ name: String, _ configuration: TunnelConfiguration) -> LogOutput {
        let (notice, banner) = (notice, banner)
        let wantsBanner = configuration.output.verbosity >= .info
        let output = LogOutput(
            journal: journal.named(name, level: Self.journalLevel(configuration.output.verbosity)),
            notice: { notice("\(name): \($0)") }, banner: { if wantsBanner { banner("\(name): \($0)") } }, log: log)
        if configuration.output.verbosity >= .verbose { configuration.notes.forEach(output.notice) }
        return output
    }

    /// Whoever is asked has read what was said before.
    func prompter(_ prompter: TerminalPrompter) -> some Prompter { SettledPrompter(prompter: prompter, log: log) }

    private init(
        journal: Journal, notice: @escaping @Sendable (String) -> Void, banner: @escaping @Sendable (String) -> Void,
        log: LogThread
    ) {
        self.journal = journal
        self.notice = notice
        self.banner = banner
        self.log = log
    }

    private init(_ options: OutputOptions) throws(Failure) {
        var descriptor = STDERR_FILENO
        if let path = options.logFile {
            descriptor = unsafe Glibc.open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o600)
            guard descriptor >= 0 else {
                throw Failure(description: "-E \(path): \(unsafe String(cString: strerror(errno)))")
            }
            ProcessFaults.alsoTell(descriptor)
        }
        let usesSyslog = options.syslog
        if usesSyslog { openlog(nil, LOG_PID, options.syslogFacility << 3) }
        let isSilent = options.verbosity <= .quiet
        let isElsewhere = usesSyslog || options.logFile != nil
        let wantsBanner = options.verbosity >= .info
        let handler = LineLogHandler(descriptor: descriptor, usesSyslog: usesSyslog, logLevel: .trace)
        let logger = Logger(label: "culvert") { _ in handler }
        let log = LogThread { line in
            if line.isBanner, isElsewhere {
                Self.writeLine("culvert: \(line.text)", to: STDERR_FILENO)
            } else if !isSilent {
                logger.log(level: Self.logLevel(line.level), "\(line.text)")
            }
        }
        self.init(
            journal: Journal(level: Self.journalLevel(options.verbosity), log: log),
            notice: { log.post(Journal.Line(.info, $0, kind: nil)) },
            banner: { text in
                guard wantsBanner else { return }
                var line = Journal.Line(.info, text, kind: nil)
                line.isBanner = true
                log.post(line)
            }, log: log)
    }

    private static func journalLevel(_ verbosity: Verbosity) -> Journal.Level {
        switch verbosity {
        case .quiet, .fatal, .error: .error
        case .info: .info
        case .verbose, .debug1: .verbose
        case .debug2, .debug3: .debug
        }
    }

    private static func logLevel(_ level: Journal.Level) -> Logger.Level {
        switch level {
        case .error: .error
        case .info: .info
        case .verbose: .debug
        case .debug: .trace
        }
    }

    /// One write for a whole line, so that lines of several processes do not mix.
    static func writeLine(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)
        bytes.append(UInt8(ascii: "\n"))
        var written = 0
        while written < bytes.count {
            let count = unsafe bytes.withUnsafeBytes {
                unsafe write(descriptor, $0.baseAddress! + written, bytes.count - written)
            }
            if count < 0 && errno == EINTR { continue }
            guard count > 0 else { return }
            written += count
        }
    }
}

/// Asks once what was said before stands where it is read.
private struct SettledPrompter: Prompter {
    let prompter: TerminalPrompter
    let log: LogThread

    func ask(_ question: String, echo: Bool, seconds: Int) throws(SSHError) -> Secret? {
        log.settle()
        return try prompter.ask(question, echo: echo, seconds: seconds)
    }
}

/// Lines as a person reads them: the program's name and the text, no time and no level. Journald and `-y` add their
/// own times.
private struct LineLogHandler: LogHandler {
    let descriptor: Int32
    let usesSyslog: Bool
    var logLevel: Logger.Level
    var metadata: Logger.Metadata = [:]

    subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    func log(event: LogEvent) {
        let text = "\(event.message)"
        for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
            if usesSyslog {
                let priority = event.level >= .error ? LOG_ERR : event.level >= .info ? LOG_INFO : LOG_DEBUG
                unsafe String(line).withCString { pointer in
                    unsafe withVaList([pointer]) { unsafe vsyslog(priority, "%s", $0) }
                }
            } else {
                LogOutput.writeLine("culvert: " + line, to: descriptor)
            }
        }
    }
}
