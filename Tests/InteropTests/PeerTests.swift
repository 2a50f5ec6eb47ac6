import Foundation
import Testing

/// culvert with its own engine at servers that others wrote, each with every algorithm that both have. The declaration is
/// `Peer.shared`; the results go to `.build/interop`.
@Suite(
    .serialized,
    .enabled(
        if: Subject.isCulvert && Subject.engine != "libssh2", "what both have is declared for culvert's own engine"))
struct PeerTests {
    /// Every combination instead of every pair: `make interop`.
    static let isFull = Scale.isFull || ProcessInfo.processInfo.environment["CULVERT_MATRIX"] == "full"

    /// Bytes each way of each of the two forwards of a combination; no multiple of any packet's size.
    static let combinationBytes = isFull ? 8_000_001 : 700_001

    /// A running culvert with a forward of each kind to the same target.
    private struct Tunnels {
        let process: Child
        let doors: [Address]
        private let isCareful: Bool
        let arrivals: Mailbox<TestSocket>

        init(_ server: PeerServer, on stage: Stage, _ options: [String], identity: String? = nil) throws {
            let (target, arrivals) = try TargetServer.handingOver(on: stage)
            self.arrivals = arrivals
            isCareful = server.peer.needsCare
            let ports = try (0..<2).map { _ in try Ports.free() }
            doors = ports.map { .tcp($0) }
            process = try server.tunnel(
                on: stage,
                ["-v", "-L", "\(ports[0]):\(target.address)", "-R", "\(ports[1]):\(target.address)"] + options,
                identity: identity)
            // Both stand at once, so a forward that does not is found here.
            for port in ports {
                try waitUntil("somebody listens on \(port)") {
                    guard process.isRunning else { throw Failure("culvert ended: \(process.ending!)") }
                    return !ProcFS.listeners(port: port).isEmpty
                }
            }
        }

        /// Both forwards at once, each both ways at once.
        func carry(_ bytes: Int) throws {
            let flows = try doors.map { try Flow(through: $0, arrivals: arrivals) }
            try concurrently(flows.count) { index in
                try flows[index].transfer(
                    up: bytes, down: bytes, seed: .random(in: 0 ... .max), isCareful: isCareful)
            }
        }

        /// How often the keys were exchanged again, as SIGUSR1 tells.
        func renewals() throws -> Int {
            let said = process.errorLines.count
            process.signal(SIGUSR1)
            let line = try process.waitForLine(Wording.keyRenewals, after: said)
            let words = line.split(whereSeparator: { " ,".contains($0) })
            guard let place = words.firstIndex(of: "key"), place > 0, let count = Int(words[place - 1]) else {
                throw Failure("no number of key renewals in \(line)")
            }
            return count
        }
    }

    @Test("every pair of algorithms that both have, over -L and -R", arguments: Peer.accepted)
    func combinations(_ peer: Peer) throws {
        try onStage { stage in
            let server = try PeerServer(peer, on: stage)
            let identification = try server.identification()
            #expect(identification.hasPrefix(peer.identification))
            let record = try PeerRecord(peer, "combinations")
            let combinations = try #require(peer.shared).combinations(full: Self.isFull)
            for combination in combinations {
                let inner = try Stage()
                defer { inner.close() }
                do {
                    let own =
                        try peer.takesFewHostKeys
                        ? PeerServer(peer, on: inner, hostKey: combination.hostKey) : server
                    let tunnels = try Tunnels(own, on: inner, combination.options)
                    try tunnels.process.waitForLine(["connected to", "(culvert, \(combination))"])
                    try tunnels.carry(Self.combinationBytes)
                } catch { throw Failure("\(combination): \(error)\n\(inner.logs)") }
                try record.add(
                    PeerResult(
                        peer: peer, identification: identification, combination: combination, forwards: ["-L", "-R"],
                        isCareful: peer.needsCare))
            }
        }
    }

    /// Who renews the keys at which peer, after how many bytes, and how often that must be during how many bytes each way
    /// of each forward.
    struct Renewing: CustomTestStringConvertible {
        let peer: Peer
        let renewer: Peer.Renewer
        let combination: Combination

        var limit: Int { peer.isOpenSSH ? 32 << 10 : 128 << 10 }
        var bytes: Int { peer.isOpenSSH ? 20 << 20 : 2 << 20 }
        var least: Int { peer.isOpenSSH ? 40 : 4 }

        var testDescription: String { "\(peer), \(combination), by \(renewer) after \(limit) bytes" }

        /// Every renewer, with one of the ciphers that need no MAC each; then by both those that need one.
        static let all: [Renewing] = Peer.accepted.flatMap { peer in
            guard let shared = peer.shared, let keyExchange = shared.keyExchanges.first, let mac = shared.macs.first
            else { return [Renewing]() }
            let alone = shared.ciphers.filter { !Combination.needsMAC($0) }
            let each =
                alone.isEmpty
                ? []
                : shared.renewers.enumerated().map { index, renewer in
                    Renewing(
                        peer: peer, renewer: renewer,
                        combination: Combination([keyExchange, alone[index % alone.count], "ssh-ed25519", mac]))
                }
            let counter = shared.counterModes(full: PeerTests.isFull).map { mode in
                Renewing(
                    peer: peer, renewer: shared.renewers.contains(.both) ? .both : .culvert,
                    combination: Combination([keyExchange, mode.cipher, "ssh-ed25519", mode.mac]))
            }
            return each + counter
        }
    }

    @Test("keys are exchanged again all the time, and nothing is lost", arguments: Peer.accepted)
    func renewals(_ peer: Peer) throws {
        let record = try PeerRecord(peer, "renewals")
        for renewing in Renewing.all where renewing.peer == peer {
            try onStage { stage in
                let server = try PeerServer(
                    peer, on: stage, renewalBytes: renewing.renewer == .culvert ? nil : renewing.limit, window: 4096)
                let identification = try server.identification()
                let combination = renewing.combination
                let ours = renewing.renewer == .server ? [] : ["-o", "RekeyLimit=\(renewing.limit)"]
                let tunnels = try Tunnels(server, on: stage, combination.options + ours)
                try tunnels.carry(renewing.bytes)
                let renewals = try tunnels.renewals()
                try #require(renewals >= renewing.least, "\(renewing.testDescription): \(renewals) renewals")
                // The same link carried it all.
                #expect(!tunnels.process.errorText.contains("lost"))
                try record.add(
                    PeerResult(
                        peer: peer, identification: identification, combination: combination,
                        forwards: ["-L", "-R"], renewer: renewing.renewer, renewals: renewals,
                        isCareful: peer.needsCare))
            }
        }
    }

    @Test("a user's certificates of every kind let in, as a host's do", arguments: Peer.certifying)
    func userCertificates(_ peer: Peer) throws {
        try onStage { stage in
            let server = try PeerServer(peer, on: stage)
            let identification = try server.identification()
            let record = try PeerRecord(peer, "certificates")
            let shared = try #require(peer.shared)
            for certificate in shared.certificates {
                let inner = try Stage()
                defer { inner.close() }
                do {
                    // The server knows the authority alone, not the key.
                    let tunnels = try Tunnels(
                        server, on: inner, ["-o", "PubkeyAcceptedAlgorithms=\(certificate)"],
                        identity: try PeerKeys.shared.get().certified(certificate))
                    try tunnels.process.waitForLine(["the server took"])
                    try tunnels.carry(10_000)
                } catch { throw Failure("\(certificate): \(error)\n\(inner.logs)") }
                try record.add(
                    PeerResult(
                        peer: peer, identification: identification, userCertificate: certificate,
                        isCareful: peer.needsCare))
            }
        }
    }

    @Test("keepalives are answered, refusals are told, and the link stays")
    func manners() throws {
        // Time passes in all of it, so all of them at once.
        let peers = Peer.accepted
        try concurrently(peers.count) { index in
            let stage = try Stage()
            defer { stage.close() }
            do {
                try Self.manners(peers[index], stage)
            } catch { throw Failure("\(peers[index]): \(error)\n\(stage.logs)") }
        }
    }

    private static func manners(_ peer: Peer, _ stage: Stage) throws {
        let server = try PeerServer(peer, on: stage)
        // Servers listen on both of localhost's addresses, and one of them is enough for most.
        let held = try Ports.free()
        let holders = try ["127.0.0.1", "::1"].map { try Listener(.tcpAt($0, held)) }
        let (nobody, door) = (try Ports.free(), try Ports.free())
        let tunnels = try Tunnels(
            server, on: stage,
            [
                "-L", "\(door):127.0.0.1:\(nobody)", "-R", "\(held):127.0.0.1:\(nobody)",
                "-o", "ServerAliveInterval=1", "-o", "ServerAliveCountMax=1",
            ])
        try tunnels.process.waitForLine(["\(held)"] + Wording.reversePortStillHeld)
        try TestSocket.connect(.tcp(door)).drainToEnd(within: 10)
        if let words = peer.refusal { try tunnels.process.waitForLine(["\(door)"] + words) }
        // The second keepalive without an answer would have ended the link.
        try during(3.5, "culvert runs") { tunnels.process.isRunning }
        try tunnels.carry(10_000)
        for holder in holders { holder.close() }
        try waitUntil("the port that was held is given", within: 40) {
            tunnels.process.errorLines.contains { $0.contains("server listens on") && $0.contains("\(held)") }
        }
        guard !tunnels.process.errorText.contains(Wording.linkLost[0]) else { throw Failure("the link was lost") }
    }

    @Test("a server without strict key exchange that has ChaCha20 alone is refused, with what would help")
    func refusesTinySSH() throws {
        try onStage { stage in
            let server = try PeerServer(.tinySSH, on: stage)
            let record = try PeerRecord(.tinySSH, "refusal")
            let identification = try server.identification()
            #expect(identification.hasPrefix(Peer.tinySSH.identification))
            let process = try server.tunnel(on: stage, ["-L", "\(try Ports.free()):127.0.0.1:1"])
            #expect(try process.waitForEnd() == .exited(ExpectedCode.connection))
            let line = try process.waitForLine(["no strict key exchange", "CVE-2023-48795", "newer version"])
            for cipher in Peer.Shared.allCiphers { #expect(line.contains(cipher)) }
            #expect(
                line.hasSuffix("the peer offers chacha20-poly1305@openssh.com; only a newer version of the peer helps"))
            try record.add(PeerResult(peer: .tinySSH, identification: identification))
        }
    }

    @Test(
        "without a shared cipher both lists are named, and the flag that is named helps",
        arguments: ["dropbear", "sshd"])
    func nothingShared(_ name: String) throws {
        try onStage { stage in
            let (door, target) = (try Ports.free(), try TargetServer.echo(on: stage).address)
            let forward = ["-L", "\(door):\(target)"]
            let start: ([String]) throws -> Child
            let words: [String]
            if name == "dropbear" {
                let made = try PeerServer(.dropbear, on: stage)
                start = { try made.tunnel(on: stage, forward + $0) }
                words = [
                    "we offer aes256-gcm@openssh.com,", "offers chacha20-poly1305@openssh.com,aes128-ctr,aes256-ctr;",
                ]
            } else {
                let made = try SSHServer(on: stage, options: ["Ciphers aes256-ctr"])
                start = { try Tunnel(to: made, forward + $0).process }
                words = ["we offer aes256-gcm@openssh.com,", "offers aes256-ctr;"]
            }
            let refused = try start(["-c", "aes256-gcm@openssh.com"])
            #expect(try refused.waitForEnd() == .exited(ExpectedCode.connection))
            let line = try refused.waitForLine(["no cipher is shared"] + words)
            // What is named is typed as it stands there.
            let flags = try #require(line.components(separatedBy: "; ").last).split(separator: " ").map(String.init)
                .prefix(2)
            #expect(flags.first == "-o" || flags.first == "--engine", "\(line)")
            let accepted = try start(Array(flags))
            try waitUntil("the forward stands") {
                guard accepted.isRunning else { throw Failure("it ended: \(accepted.ending!)") }
                return !ProcFS.listeners(port: door).isEmpty
            }
            try OutageTests.expectEcho(.tcp(door), within: 10)
        }
    }
}
