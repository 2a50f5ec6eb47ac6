internal import Scenario

/// Every form of a forward, read sixteen times; and a long command line.
private struct ForwardRound: ~Copyable, Round {
    private let texts = [
        "5432:db.internal:5432", "127.0.0.1:8080:web:80", "[::1]:8080:[2001:db8::1]:80", "*:9000:web:80",
        "/run/db.sock:db.internal:5432", "8080:/run/web.sock", "/run/here.sock:/run/there.sock",
        "127.0.0.1/8080/web/80",
    ]

    mutating func run() {
        for _ in 0..<16 {
            for text in texts {
                guard (try? ForwardParser.parse(text, kind: .local))?.text == text else { giveUp("-L \(text)") }
            }
        }
    }
}

private struct CommandLineRound: ~Copyable, Round {
    private let environment = ConfigurationEnvironment.current()
    private let words = [
        "-NfL5432:db.internal:5432", "-L", "8080:web:80", "-R", "8822:localhost:22", "-p2222", "-i", "/tmp/key",
        "-oServerAliveInterval=15", "-o", "StrictHostKeyChecking yes", "--links", "4", "user@server",
    ]

    mutating func run() {
        guard case .tunnel(let tunnel)? = try? parseCommandLine(words, environment: environment),
            tunnel.forwards.count == 3
        else { giveUp("a command line is not understood") }
    }
}

let forwardSpecifications = [
    Scenario("forward-specs-128") { ForwardRound() }, Scenario("command-line") { CommandLineRound() },
]
