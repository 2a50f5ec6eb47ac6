/// One parser, or one machine of states, that is fed with bytes from anywhere.
public struct FuzzTarget: Sendable {
    public let name: String
    /// Longer inputs find nothing more, bytes.
    public let maximumLength: Int
    /// What the fuzzer begins with: inputs that lead far.
    public let seeds: @Sendable () -> [[UInt8]]
    /// Returns for every input; a trap or a broken promise ends the process.
    public let body: @Sendable ([UInt8]) -> Void

    init(
        _ name: String, maximumLength: Int = 1024, seeds: @escaping @Sendable () -> [[UInt8]],
        body: @escaping @Sendable ([UInt8]) -> Void
    ) {
        self.name = name
        self.maximumLength = maximumLength
        self.seeds = seeds
        self.body = body
    }

    public static let all: [FuzzTarget] = [
        .version, .packets, .negotiation, .messages, .hostKeys, .certificates, .revocations, .keyShares, .groupExchange,
        .keyText,
        .keyBlob,
        .knownHosts, .agent, .patterns, .text, .forwards, .commandLine, .configuration, .tunnelFile, .login, .handshake,
        .connection, .engine, .socks, .child, .mux, .http,
    ]

    /// A fault that is planted: a fuzzer that does not find it finds nothing else.
    public static let control = FuzzTarget("Control", maximumLength: 16, seeds: { [[0]] }) { bytes in
        promise(!bytes.starts(with: Array("SSH!".utf8)), "this one is planted")
    }
}

/// What must hold for every input.
func promise(_ isKept: Bool, _ words: @autoclosure () -> String) {
    if !isKept { fatalError("a promise is broken: \(words())") }
}
