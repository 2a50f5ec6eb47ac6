internal import CulvertConfig
internal import Scenario

/// A command line, read without any file. The forwards of a long one outweigh the rest of it.
private struct CommandLineRound: ~Copyable, Round {
    private let words: [String]
    private let forwards: Int
    private let environment = ConfigurationEnvironment.current()

    init(_ words: [String], forwards: Int) {
        self.words = ["-F", "none"] + words + ["user@server"]
        self.forwards = forwards
    }

    mutating func run() {
        do throws(ConfigurationError) {
            guard case .tunnel(let tunnel) = try parseCommandLine(words, environment: environment),
                tunnel.forwards.count == forwards
            else { giveUp("a command line is not understood") }
        } catch { giveUp("a command line is refused: \(error)") }
    }
}

/// Every form of a forward (`-L`), sixteen times, each on a port or path of its own.
private let specifications = (1...16).flatMap { number in
    [
        "\(1000 + number):db.internal:5432", "127.0.0.1:\(2000 + number):web:80",
        "[::1]:\(3000 + number):[2001:db8::1]:80", "*:\(4000 + number):web:80",
        "/run/db\(number).sock:db.internal:5432", "\(5000 + number):/run/web.sock",
        "/run/here\(number).sock:/run/there.sock", "127.0.0.1/\(6000 + number)/web/80",
    ]
}

let forwardSpecifications = [
    Scenario("command-line") {
        CommandLineRound(
            [
                "-NfL5432:db.internal:5432", "-L", "8080:web:80", "-R", "8822:localhost:22", "-p2222", "-i", "/tmp/key",
                "-oServerAliveInterval=15", "-o", "StrictHostKeyChecking yes", "--links", "4",
            ], forwards: 3)
    },
    Scenario("forward-specs-\(specifications.count)") {
        CommandLineRound(specifications.flatMap { ["-L", $0] }, forwards: specifications.count)
    },
]
