/// What is wrong with a command line: one line for a person, that names the cause and the mend.
///
/// Invariant: `message` has no line break and no leading program name; the executable prints `report`.
public struct ConfigurationError: Error, Hashable, Sendable, CustomStringConvertible {
    public let message: String
    /// The command whose help the hint names: "culvert" or "culvert relay".
    public let command: String

    public init(_ message: String, command: String = "culvert") {
        self.message = message.oneLine
        self.command = command
    }

    public var exitCode: Int32 { ExitCode.usage.rawValue }
    public var description: String { message }

    /// The two lines for standard error, without the last line break.
    public var report: String { "culvert: \(message)\ntry '\(command) --help'" }
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
