import CulvertLibSSH2
import CulvertSSH
import Foundation
import TestSupport
import Testing

/// Incoming ports at a real sshd.
@Suite(.serialized) struct ForwardTests {
    private func forward(
        _ link: TestLink, _ address: String, _ port: UInt16
    ) throws -> (ForwardNumber, accepted: Bool, port: UInt16) {
        let number = try link.engine.requestForward(.tcp(address: address, port: port))
        try link.turns(until: "the server answers") { link.answers[number.value] != nil }
        return (number, link.answers[number.value]!.accepted, link.answers[number.value]!.port)
    }

    private func connect(_ link: TestLink, _ port: UInt16) throws -> (Socket, ChannelNumber) {
        let client = try Socket.connect(port)
        let before = link.requested.count
        try link.turns(until: "the connection shows") { link.requested.count > before }
        return (client, link.requested.last!)
    }

    @Test(arguments: ["localhost", "127.0.0.1", ""]) func portThatTheServerChose(_ address: String) throws {
        let server = try TestServer.withEveryKey("GatewayPorts clientspecified")
        let link = try TestLink(server)
        let (number, accepted, port) = try forward(link, address, 0)
        #expect(accepted)
        #expect(port != 0)
        let (client, channel) = try connect(link, port)
        defer { client.close() }
        #expect(
            link.engine.openRequest(channel)
                == .forwardedTCPIP(address: address, port: port, originator: "", originatorPort: 0))
        client.write(Array("before the accept".utf8))
        var got: [UInt8] = []
        link.onPayload = { _, bytes in
            got += bytes
            return bytes.count
        }
        try link.turn()
        #expect(got.isEmpty)
        link.engine.accept(channel)
        try link.turns(until: "it is read") { got.count == 17 }
        try link.push(channel, "and back")
        #expect(client.read() == Array("and back".utf8))
        client.endWriting()
        try link.turns(until: "it has ended") { link.seen[channel.value]?.ended == true }
        link.engine.close(channel)
        link.engine.cancelForward(number)
        try link.turns(until: "the port is free") {
            guard let socket = try? Socket.connect(port) else { return true }
            socket.close()
            return false
        }
    }

    @Test func bulkThroughManyConnections() throws {
        let server = try TestServer.withEveryKey()
        let link = try TestLink(server)
        let port = try forward(link, "localhost", freePort()).port
        let done = Collected()
        for seed in 0..<8 {
            Thread.detachNewThread {
                guard let client = try? Socket.connect(port) else { return }
                defer { client.close() }
                var expected = Pattern(seed: UInt64(seed) + 100)
                Thread.detachNewThread {
                    var outgoing = Pattern(seed: UInt64(seed) + 100)
                    var chunk = [UInt8](repeating: 0, count: 50_000)
                    for _ in 0..<60 {
                        chunk.withUnsafeMutableBytes { outgoing.fill($0) }
                        guard client.write(chunk) else { return }
                    }
                    client.endWriting()
                }
                var got = 0
                var same = true
                while let bytes = client.read() {
                    got += bytes.count
                    same = same && bytes.withUnsafeBytes { expected.matches($0) }
                }
                done.append(Array("\(got) \(same)\n".utf8))
            }
        }
        // An echo at this end of the tunnel: what came is queued until it can be sent.
        var queues: [UInt32: [UInt8]] = [:]
        var finished: Set<UInt32> = []
        link.onPayload = { channel, bytes in
            queues[channel.value, default: []] += bytes
            return 0
        }
        var accepted = 0
        try link.turns(until: "all eight have their echo", within: 60) {
            while accepted < link.requested.count {
                link.engine.accept(link.requested[accepted])
                accepted += 1
            }
            for channel in link.requested {
                var queue = queues[channel.value, default: []][...]
                let count = try link.push(channel, queue.count) { slot in
                    slot.copyBytes(from: queue.prefix(slot.count))
                    queue = queue.dropFirst(slot.count)
                }
                queues[channel.value] = Array(queue)
                if count > 0 { link.engine.credit(channel, count: count) }
                if queue.isEmpty, link.seen[channel.value]?.ended == true, finished.insert(channel.value).inserted {
                    link.engine.finish(channel)
                }
            }
            return done.text.split(separator: "\n").count == 8
        }
        #expect(done.text == String(repeating: "3000000 true\n", count: 8))
    }

    @Test func severalForwardsAtOnceAndCancelInFlight() throws {
        let server = try TestServer.withEveryKey()
        let link = try TestLink(server)
        let first = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
        let second = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
        let third = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
        link.engine.cancelForward(first)
        link.engine.cancelForward(second)
        try link.turns(until: "the third stands") { link.answers[third.value] != nil }
        #expect(link.answers[first.value] == nil)
        #expect(link.answers[second.value] == nil)
        let (client, channel) = try connect(link, link.answers[third.value]!.port)
        link.engine.refuse(channel, .administrativelyProhibited, words: "no")
        try link.turns(until: "the client is cut off") {
            var entry = pollfd(fd: client.descriptor, events: Int16(POLLIN), revents: 0)
            return poll(&entry, 1, 0) == 1
        }
        #expect(client.read() == nil)
        client.close()
    }

    @Test func deniedAndTaken() throws {
        let server = try TestServer.withEveryKey("AllowTcpForwarding local")
        let link = try TestLink(server)
        #expect(try !forward(link, "localhost", 0).accepted)
        let open = try TestServer.withEveryKey()
        let other = try TestLink(open)
        let (listener, taken) = try Socket.listen()
        defer { listener.close() }
        #expect(try !forward(other, "127.0.0.1", taken).accepted)
        #expect(try forward(other, "127.0.0.1", 0).accepted)
    }

    @Test func unixSocketIsUnsupported() throws {
        let server = try TestServer.withEveryKey()
        let link = try TestLink(server)
        let error = #expect(throws: SSHError.self) {
            _ = try link.engine.requestForward(.streamLocal(path: "/tmp/socket"))
        }
        #expect(error?.kind == .unsupported)
    }
}
