/// What is wrong with a command line or a file, or with the network that one of them asks: one line for a person, that names
/// the cause and the mend.
///
/// Invariant: `message` has no line break and no leading program name; the executable prints `report`.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public let message: String
    /// The command whose help the hint names: "culvert" or "culvert relay".
    public let command: String
    private let status: ExitCode

    public init(_ message: String, command: String = "culvert") {
        self.init(message, command: command, status: .usage)
    }

    private init(_ message: String, command: String, status: ExitCode) {
        self.message = message.oneLine
        self.command = command
        self.status = status
    }

    /// Nothing is wrong with what was written: another attempt may go well.
    static func network(_ message: String) -> ConfigurationError {
        ConfigurationError(message, command: "culvert", status: .connection)
    }

    public var exitCode: Int32 { status.rawValue }
    public var description: String { message }

    /// For standard error, without the last line break.
    public var report: String {
        status == .usage ? "culvert: \(message)\ntry '\(command) --help'" : "culvert: \(message)"
    }
}

extension String {
    /// The same text with every control and format character spelled out: it may come from a file or a script, and reaches
    /// a terminal.
    var oneLine: String {
        func isUnsafe(_ scalar: Unicode.Scalar) -> Bool {
            [.control, .format, .lineSeparator, .paragraphSeparator].contains(scalar.properties.generalCategory)
        }
        guard unicodeScalars.contains(where: isUnsafe) else { return self }
        var safe = ""
        for scalar in unicodeScalars {
            if isUnsafe(scalar) {
                safe += "\\u{" + String(scalar.value, radix: 16) + "}"
            } else {
                safe.unicodeScalars.append(scalar)
            }
        }
        return safe
    }
}
