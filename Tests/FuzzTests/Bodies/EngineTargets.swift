import CulvertPlan

@testable import CulvertSSH

/// Small limits, so that inputs of some hundred bytes reach them.
private func settings(_ input: inout FuzzInput) -> ConnectionSettings {
    var settings = ConnectionSettings()
    let mode = input.byte()
    settings.maximumChannels = 6
    settings.initialWindow = [256, 40_000, 256 * 1024, 1][Int(mode & 3)]
    settings.maximumWindow = max(settings.initialWindow, [1, 100_000, 15 << 20, 1 << 20][Int(mode >> 2 & 3)])
    settings.maximumPacket = [256, 32768, 1000, 4096][Int(mode >> 4 & 3)]
    return settings
}

/// What both ends do, as the whole-engine targets read it.
let connectionStreams: [[UInt8]] = [
    // Ours: open, confirmed, data both ways, credit, EOF, CLOSE.
    [
        0x40, 9, 1, 0, 5, 0, 16, 0, 0, 128, 0, 0x43, 0, 1, 0, 0, 128, 4, 0, 0, 200, 0x45, 0, 0, 100, 0x47, 0, 7, 0,
        0x48, 0,
        8, 0, 31, 255, 255,
    ],
    // Theirs: a forward stands, a channel is asked for and accepted, EOF and CLOSE come.
    [
        0x49, 22, 12, 22, 9, 0, 1, 0, 0, 128, 0, 22, 3, 0x41, 0, 0x43, 0, 0, 99, 0, 99, 4, 0, 0, 50, 7, 0, 8, 0,
        0x48, 0,
    ],
    // Refusals, requests, answers, a probe.
    [0x40, 1, 2, 0, 1, 10, 0, 1, 11, 1, 0x4b, 13, 14, 4, 0x49, 0, 13, 18, 200, 0x4f, 2, 0],
    // Keys: ours, theirs, with data waiting.
    [
        0x40, 9, 1, 0, 5, 0, 16, 0, 0, 128, 0, 0x4c, 0x43, 0, 1, 0, 1, 0, 16, 0, 16, 0, 0x43, 0, 1, 0, 0, 128, 16, 0,
        16, 0,
        4, 0, 0, 9, 0x45, 0, 0, 1,
    ],
    // A damaged packet; bytes that are none.
    [0x40, 9, 0x81, 0, 5, 0, 16, 0, 0, 128, 0, 17, 9, 4], [0x83, 0, 0, 0, 0, 1, 19, 4, 0, 0, 0, 1],
]

extension FuzzTarget {
    /// The connection protocol without keys: channels, windows, forwards, as a client or as a server.
    static let connection = FuzzTarget(
        "Connection", maximumLength: 1024,
        seeds: { connectionStreams.flatMap { [[2, 0x1a] + $0, [0, 0] + $0, [3, 0x15] + $0] } }
    ) { bytes in
        _ = driveConnection(bytes)
    }

    static func driveConnection(_ bytes: [UInt8]) -> ConnectionDriver<NullCipherEngine> {
        var input = FuzzInput(bytes)
        let role: ConnectionRole = input.byte() & 1 == 0 ? .client : .server
        let engine = NullCipherEngine(role: role, settings: settings(&input))
        var driver = ConnectionDriver(engine: engine, server: FuzzServer(isBare: true))
        driver.run(&input)
        return driver
    }

    /// The whole client after a key exchange and a login that went right.
    static let engine = FuzzTarget(
        "Engine", maximumLength: 1024,
        seeds: {
            // Ciphers, with and without renewed keys: see `driveEngine`.
            let modes: [[UInt8]] = [[0, 0x1a], [5, 0x15], [8, 0x1a], [0x18, 0x1a]]
            return connectionStreams.flatMap { stream in modes.map { $0 + stream } }
        }
    ) { bytes in
        _ = driveEngine(bytes)
    }

    static func driveEngine(_ bytes: [UInt8]) -> ConnectionDriver<NativeEngine> {
        var input = FuzzInput(bytes)
        let mode = input.byte()
        var chosen = handshakeSettings
        chosen.ciphers = AlgorithmList(mode & 1 == 0 ? "aes256-gcm@openssh.com" : "chacha20-poly1305@openssh.com")
        if mode & 8 != 0 {
            chosen.ciphers = AlgorithmList("aes128-ctr")
            chosen.macs = AlgorithmList(mode & 0x10 == 0 ? "hmac-sha2-256-etm@openssh.com" : "hmac-sha2-512")
        }
        if mode & 4 != 0 { chosen.rekeyLimits.bytes = 2000 }
        chosen.connection = settings(&input)
        var handshake = Handshake(Handshake.makeLogin(chosen))
        do throws(SSHError) {
            try handshake.logIn()
        } catch {
            fatalError("an honest server is logged in to: \(error)")
        }
        var driver = handshake.takeDriver()
        driver.run(&input)
        return driver
    }

    /// The whole client up to its login: versions, the key exchange and user authentication with a server that does what
    /// the input says. It must never take a login for granted.
    static let handshake = FuzzTarget(
        "Handshake", maximumLength: 1024,
        seeds: {
            let right: [UInt8] = [0, 1, 0, 2, 0, 0, 0, 3, 4]
            return [
                right + [6], right + [5, 1, 0, 6], right + [9, 5, 1, 0, 8, 5, 2, 0, 7, 1, 5, 0x83, 0, 6],
                [0x80] + right.map { $0 | 0x80 } + [6], [0, 1, 4, 2, 0, 0, 0, 3, 4, 6], [0, 1, 3, 2, 0, 7, 1],
                [10, 30] + Array("greeting of a server, a line\r\n".utf8) + [
                    0, 1, 16, 2, 0, 0, 0, 2, 0, 0, 0, 3, 4, 6,
                ],
                right + [11, 9, 53, 0, 0, 0, 0, 0, 0, 0, 0, 6],
            ]
                // Every kind of key exchange; a group exchange has one answer more, which may come twice, or forged.
                + [1, 2, 3, 5, 6, 7].map { [0, 1, $0 << 5, 2, 0, 0, 0, 3, 4, 6] }
                + [
                    [0, 1, 4 << 5, 2, 0, 0, 0, 2, 0, 0, 0, 3, 4, 6], [0, 1, 4 << 5, 2, 0, 0, 0, 2, 0, 9, 1, 3, 4, 6],
                    [0, 1, 4 << 5, 2, 0, 9, 1, 2, 0, 0, 0, 3, 4, 6], [0, 1, 4 << 5, 2, 0, 0, 0, 3, 2, 0, 0, 0],
                ]
        }
    ) { bytes in
        var input = FuzzInput(bytes)
        var handshake = Handshake(Handshake.makeLogin(handshakeSettings))
        handshake.run(&input)
    }

    private static var handshakeSettings: NativeSettings {
        var settings = NativeSettings()
        settings.keyExchange = AlgorithmList(
            "curve25519-sha256,ecdh-sha2-*,diffie-hellman-group-exchange-sha256,diffie-hellman-group14-sha256,mlkem*,"
                + "sntrup*")
        return settings
    }
}
