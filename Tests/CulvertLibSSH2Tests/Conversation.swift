import CulvertPlan
import Foundation
import TestSupport

@testable import CulvertLibSSH2
@testable import CulvertSSH

/// The engine and a scripted server, mouth to ear.
final class Conversation {
    let server: ScriptedServer
    let authority = TestAuthority([])
    private var way: LibSSH2Login?
    private var made: LibSSH2Engine?
    var engine: LibSSH2Engine {
        _read { yield made! }
        _modify { yield &made! }
    }
    /// Events since they were asked for last, in words.
    private(set) var events: [String] = []
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4 << 20, alignment: 4096)
    /// As much as the engine gets at once.
    var portion = Int.max

    init(_ server: ScriptedServer = ScriptedServer()) throws {
        self.server = server
        way = try LibSSH2Login(settings: LibSSH2Settings())
    }

    deinit { buffer.deallocate() }

    static func loggedIn(_ server: ScriptedServer = ScriptedServer()) throws -> Conversation {
        let conversation = try Conversation(server)
        try conversation.login()
        return conversation
    }

    func takeEvents() -> [String] {
        defer { events = [] }
        return events
    }

    /// Until the user is known; throws what ends the login, or that nobody says anything any more.
    func login() throws {
        var isQuiet = false
        while true {
            let bytes = server.takeOutput()
            var rest = bytes[...]
            repeat {
                let now = rest.prefix(min(portion, buffer.count))
                rest = rest.dropFirst(now.count)
                buffer.copyBytes(from: now)
                way!.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<now.count]))
                let progress = try way!.advance(authority)
                guard way!.takeConsumed() == now.count else { throw Failed("bytes are left over in a login") }
                let output = [UInt8](way!.output)
                way!.outputSent(output.count)
                server.hear(output)
                if case .loggedIn = progress {
                    made = way.take()!.engine()
                    return
                }
                if output.isEmpty, bytes.isEmpty {
                    if isQuiet { throw Failed("the login stands still") }
                    isQuiet = true
                } else {
                    isQuiet = false
                }
            } while !rest.isEmpty
        }
    }

    /// Until nobody says anything any more.
    func talk() throws {
        var isQuiet = false
        while !isQuiet {
            let bytes = server.takeOutput()
            var rest = bytes[...]
            repeat {
                let now = rest.prefix(min(portion, buffer.count))
                rest = rest.dropFirst(now.count)
                buffer.copyBytes(from: now)
                engine.receive(UnsafeMutableRawBufferPointer(rebasing: buffer[..<now.count]))
                while let event = try engine.nextEvent() { note(event) }
                guard engine.takeConsumed() == now.count else { throw Failed("bytes are left over") }
            } while !rest.isEmpty
            let output = [UInt8](engine.output)
            engine.outputSent(output.count)
            server.hear(output)
            isQuiet = bytes.isEmpty && output.isEmpty
        }
    }

    private func note(_ event: EngineEvent) {
        if case .payload(let channel, let payload) = event {
            events.append("payload \(channel.value) \(payload.count)")
            engine.credit(channel, count: payload.count)
        } else {
            events.append("\(event)".replacing("CulvertSSH.", with: ""))
        }
    }

    /// Opens a channel that the server confirms as it is told; its number is 0 where nothing else was opened.
    func open(window: Int = 1 << 20, maximumPacket: Int = 32768, sender: Int = 7) throws -> ChannelNumber {
        let channel = try engine.open(
            .directTCPIP(host: "db", port: 5432, originator: "127.0.0.1", originatorPort: 1))
        try talk()
        guard let asked = server.heard.last, asked[0] == 90 else { throw Failed("no channel was asked for") }
        let own = ScriptedServer.number(asked, 5 + ScriptedServer.number(asked, 1))
        server.say(
            [91] + ScriptedServer.u32(own) + ScriptedServer.u32(sender) + ScriptedServer.u32(window)
                + ScriptedServer.u32(maximumPacket))
        try talk()
        return channel
    }

    func push(_ channel: ChannelNumber, _ count: Int) throws -> Int {
        let slots = engine.reserve(channel, maximum: count)
        guard slots.count > 0 else { return 0 }
        try engine.commit(channel, count: slots.totalLength)
        return slots.totalLength
    }
}
