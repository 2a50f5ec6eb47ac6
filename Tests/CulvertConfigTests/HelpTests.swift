import Testing

@testable import CulvertConfig

@Suite struct HelpTests {
    func text(_ arguments: String...) throws -> String {
        guard case .show(let text) = try parseCommandLine(arguments, environment: testEnvironment) else { return "" }
        return text
    }

    @Test(arguments: ["-h", "--help", "-vh", "-Nvh"]) func helpBeginsWithTheTunnel(_ flag: String) throws {
        let help = try text(flag)
        let marks = [
            "Examples:", "-L 5432:db.internal:5432 user@server", "-R 8822:localhost:22 user@server", "Forwards",
            "--hold", "Subcommands:", "relay", "Exit codes:", "64",
        ]
        var rest = help[...]
        for mark in marks {
            let parts = rest.split(separator: mark, maxSplits: 1, omittingEmptySubsequences: false)
            #expect(parts.count == 2, "\(mark) is missing or out of order")
            rest = parts.last ?? ""
        }
    }

    @Test func everyLineFitsATerminal() throws {
        for line in try (text("--help") + "\n" + text("relay", "--help")).split(separator: "\n") {
            #expect(line.count <= 120 && !line.hasSuffix(" "), "\(line)")
        }
    }

    @Test func everyExitCodeAndOptionIsInTheHelp() throws {
        let help = try text("--help")
        for code in ExitCode.allCases { #expect(help.contains(" \(code.rawValue)  "), "\(code)") }
        for option in [
            "io", "links", "threads", "engine", "hold", "knocks", "drain", "memory", "persist", "port-file", "version",
            "help",
        ] {
            #expect(help.contains("--\(option)"), "--\(option)")
        }
        for key in CulvertKey.allCases { #expect(help.contains(key.rawValue), "\(key)") }
        for letter in "LRgplibB46cmoFGQfvqEyVh" { #expect(help.contains("-\(letter)"), "-\(letter)") }
    }

    @Test func helpAndVersionOutrankWhatElseIsMissing() throws {
        #expect(try text("--version") == "culvert \(culvertVersion)")
        #expect(try text("-V") == "culvert \(culvertVersion)")
        #expect(try text("relay", "-V") == "culvert \(culvertVersion)")
        #expect(try text("-L", "bad", "--help") == text("-h"))
        #expect(try text("relay", "-h").hasPrefix("culvert relay:"))
        #expect(try text("relay", "--help") == text("relay", "-vh"))
    }

    @Test func aUsageErrorIsOneLineAndAHint() {
        let error = ConfigurationError("a\nb\u{1b}[2J")
        #expect(error.report == "culvert: a\\u{a}b\\u{1b}[2J\ntry 'culvert --help'")
        #expect(error.exitCode == ExitCode.usage.rawValue)
    }
}
