import Foundation
import Testing

/// A way of a connection to a target, by each of the things that carry connections.
enum PassageKind: String, CaseIterable, CustomStringConvertible {
    case direct = "-L"
    case reverse = "-R"
    case dynamic = "-D"
    case hop = "-J and -L"
    case relay = "relay"

    var description: String { rawValue }

    /// The kinds that the subject has: ssh gives a hop another home than the tests', and has no relay.
    static var choices: [PassageKind] { Subject.isCulvert ? allCases : [.direct, .reverse, .dynamic] }
}

/// A kind of passage over a driver.
struct Crossing: CustomTestStringConvertible {
    let kind: PassageKind
    let driver: Driver
    var testDescription: String { "\(kind), \(driver)" }

    /// Every kind; both drivers where the most is at stake.
    static let all = PassageKind.choices.flatMap { kind in Driver.choices.map { Crossing(kind: kind, driver: $0) } }
    static let drivers = Driver.choices.map { Crossing(kind: .direct, driver: $0) }
}

/// A passage that stands.
struct Passage: @unchecked Sendable {
    // Unchecked: the server is asked for its log by the thread that made it alone.
    let kind: PassageKind
    let process: Child
    /// The server that the target is dialled from, or that listens for it; nil for a relay.
    let server: SSHServer?
    private let door: UInt16
    private let target: UInt16

    init(_ crossing: Crossing, on stage: Stage, to address: Address, options: [String] = []) throws {
        guard case .tcp(let target) = address else { throw Failure("a port is needed") }
        kind = crossing.kind
        self.target = target
        door = try Ports.free()
        let options = crossing.driver.arguments + options
        let way = "127.0.0.1:\(door):127.0.0.1:\(target)"
        switch crossing.kind {
        case .direct, .reverse, .dynamic:
            let words = [
                PassageKind.direct: ["-L", way], .reverse: ["-R", way], .dynamic: ["-D", "127.0.0.1:\(door)"],
            ]
            let started = try SSHServer(on: stage)
            process = try Tunnel(to: started, options + (words[crossing.kind] ?? [])).process
            server = started
        case .hop:
            let route = try JumpTests.Route(stage, hops: 1)
            process = try Tunnel(to: route.destination, options + route.jump + ["-L", way]).process
            server = route.destination
        case .relay:
            process = try stage.start(
                "culvert", Subject.command(["relay"] + options + ["-L", way]),
                environment: Tunnel.environment(stage))
            server = nil
        }
        let process = process
        let port = door
        try waitUntil("\(door) is open") {
            guard process.isRunning else { throw Failure("the tunnel ended: \(process.ending!)") }
            return !ProcFS.listeners(port: port).isEmpty
        }
        // A direct forward's port is open before its link stands, and what waits there is held.
        if let server {
            try waitUntil("the link stands") { server.log.contains("Accepted publickey") }
        }
    }

    /// A new connection to the target. `receiveBuffer`: bytes that its kernel holds for a slow reader.
    func connect(receiveBuffer: Int32? = nil) throws -> TestSocket {
        let made = try TestSocket.connect(.tcp(door), receiveBuffer: receiveBuffer)
        guard kind == .dynamic else { return made }
        let request: [UInt8] = [5, 1, 0, 5, 1, 0, 1, 127, 0, 0, 1, UInt8(target >> 8), UInt8(target & 255)]
        try request.withUnsafeBytes { try made.sendAll($0) }
        var answer = [UInt8](repeating: 0, count: 12)
        var have = 0
        while have < answer.count {
            let read = try answer.withUnsafeMutableBytes { try made.receive(into: .init(rebasing: $0[have...])) }
            guard case .bytes(let count) = read else { throw Failure("\(read) instead of an answer of SOCKS") }
            have += count
        }
        guard answer[3] == 0 else { throw Failure("refused in SOCKS: \(answer)") }
        return made
    }
}
