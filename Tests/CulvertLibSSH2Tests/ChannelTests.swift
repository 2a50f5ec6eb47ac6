import CulvertLibSSH2
import CulvertSSH
import Foundation
import TestSupport
import Testing

/// Channels through a real sshd to services of our own.
@Suite(.serialized) struct ChannelTests {
    /// Sends `count` bytes of a pattern on each channel while their echo comes back, and compares every byte.
    static func echo(_ link: TestLink, _ channels: [ChannelNumber], _ count: Int, within seconds: Double = 60) throws {
        var outgoing: [UInt32: Pattern] = [:]
        var expected: [UInt32: Pattern] = [:]
        var sent: [UInt32: Int] = [:]
        var received: [UInt32: Int] = [:]
        var altered = 0
        for channel in channels {
            outgoing[channel.value] = Pattern(seed: UInt64(channel.value) + 7)
            expected[channel.value] = Pattern(seed: UInt64(channel.value) + 7)
            sent[channel.value] = 0
            received[channel.value] = 0
        }
        link.onPayload = { channel, bytes in
            if expected[channel.value]?.matches(bytes) != true { altered += 1 }
            received[channel.value]! += bytes.count
            return bytes.count
        }
        try link.turns(until: "everything came back", within: seconds) {
            for channel in channels where sent[channel.value]! < count {
                // Uneven amounts, so that packets and slots end anywhere.
                let most = min(count - sent[channel.value]!, 1 + (sent[channel.value]! * 31 + 70_001) % 400_000)
                sent[channel.value]! += try link.push(channel, most) { outgoing[channel.value]!.fill($0) }
                if sent[channel.value] == count { link.engine.finish(channel) }
            }
            return channels.allSatisfy { received[$0.value] == count && link.seen[$0.value]?.ended == true }
        }
        #expect(altered == 0)
        for channel in channels { link.engine.close(channel) }
    }

    @Test func manyMegabytesBothWaysAtOnce() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        try Self.echo(link, [channel], 24 << 20)
    }

    @Test func sixtyFourChannelsInterleaved() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        let channels = try (0..<64).map { _ in try link.open(service.port) }
        try link.turns(until: "all are open") { channels.allSatisfy { link.seen[$0.value]?.opened == true } }
        try Self.echo(link, channels, 300_000)
        // Their numbers come back when both sides have closed.
        try link.turns(until: "a number is used again") {
            let channel = try link.openNow(service.port)
            link.engine.close(channel)
            return channel.value < 64
        }
    }

    @Test func slowReaderHoldsUpNobody() throws {
        let server = try TestServer.withEveryKey()
        let flood = try Service { connection in
            var pattern = Pattern(seed: 3)
            var chunk = [UInt8](repeating: 0, count: 65536)
            while chunk.withUnsafeMutableBytes({ pattern.fill($0) }) == (), connection.write(chunk) {}
        }
        let service = try Service.echo()
        let link = try TestLink(server)
        let quick = try link.openNow(service.port)
        var slowBytes = 0
        var slowPattern = Pattern(seed: 3)
        var altered = false
        link.onPayload = { channel, bytes in
            if !slowPattern.matches(bytes) { altered = true }
            slowBytes += bytes.count
            return 0
        }
        let slow = try link.openNow(flood.port)
        // The peer stops when the window is used up: the bytes held stand still at its size.
        var held = -1
        try link.turns(until: "the slow channel stands still") {
            let before = held
            held = link.engine.heldBytes()
            return held > 0 && held == before && link.received > 2 << 20 && slowBytes >= 256 << 10
        }
        #expect(slowBytes <= 512 << 10)
        #expect(held + slowBytes <= (2 << 20) + (512 << 10))
        let stuck = slowBytes
        let remembered = link.onPayload
        try {
            var expected = Pattern(seed: UInt64(quick.value) + 7)
            var outgoing = expected
            var got = 0
            var sent = 0
            link.onPayload = { channel, bytes in
                guard channel == quick else { return remembered(channel, bytes) }
                if !expected.matches(bytes) { altered = true }
                got += bytes.count
                return bytes.count
            }
            try link.turns(until: "the quick one has its echo") {
                if sent < 8 << 20 { sent += try link.push(quick, (8 << 20) - sent) { outgoing.fill($0) } }
                return got == 8 << 20
            }
        }()
        #expect(slowBytes == stuck)
        // Credit sets the slow one going again.
        link.onPayload = { channel, bytes in
            if !slowPattern.matches(bytes) { altered = true }
            slowBytes += bytes.count
            return bytes.count
        }
        link.engine.credit(slow, count: stuck)
        try link.turns(until: "the slow one goes on") { slowBytes > 16 << 20 }
        #expect(!altered)
        link.engine.close(slow)
    }

    @Test func halfCloseKeepsTheOtherDirection() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service { connection in
            var request: [UInt8] = []
            while let bytes = connection.read() { request += bytes }
            connection.write(Array("\(request.count) bytes".utf8))
        }
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        var answer: [UInt8] = []
        link.onPayload = { _, bytes in
            answer += bytes
            return bytes.count
        }
        try link.push(channel, "request")
        link.engine.finish(channel)
        #expect(link.engine.sendable(channel) == 0)
        try link.turns(until: "the answer ended") { link.seen[channel.value]?.ended == true }
        #expect(String(decoding: answer, as: UTF8.self) == "7 bytes")
        try link.turns(until: "it is closed") { link.seen[channel.value]?.closed == true }
        link.engine.close(channel)
    }

    @Test func peerEndsFirstAndStillReads() throws {
        let server = try TestServer.withEveryKey()
        let got = Collected()
        let service = try Service { connection in
            connection.endWriting()
            while let bytes = connection.read() { got.append(bytes) }
            got.end()
        }
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        try link.turns(until: "the peer has ended") { link.seen[channel.value]?.ended == true }
        #expect(link.seen[channel.value]?.closed == nil)
        try link.push(channel, "still here")
        link.engine.finish(channel)
        try link.turns(until: "the service has it all") { got.isEnded }
        #expect(got.text == "still here")
        link.engine.close(channel)
    }

    @Test func closeReachesTheTarget() throws {
        let server = try TestServer.withEveryKey()
        let got = Collected()
        let service = try Service { connection in
            while let bytes = connection.read() { got.append(bytes) }
            got.end()
        }
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        try link.push(channel, "last words")
        link.engine.close(channel)
        try link.turns(until: "the target saw the end") { got.isEnded }
        #expect(got.text == "last words")
    }

    @Test func targetThatResets() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service { connection in
            _ = connection.read()
            connection.reset()
        }
        let link = try TestLink(server)
        let channel = try link.openNow(service.port)
        try link.push(channel, "go")
        // sshd passes a reset on as EOF; the CLOSE follows once something is sent that nobody takes.
        try link.turns(until: "its end shows") { link.seen[channel.value]?.ended == true }
        try link.turns(until: "its close shows") {
            _ = try link.push(channel, 10) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
            return link.seen[channel.value]?.closed != nil
        }
        #expect(link.engine.sendable(channel) == 0)
        link.engine.close(channel)
    }

    @Test func refusedOpens() throws {
        let server = try TestServer.withEveryKey()
        let link = try TestLink(server)
        let channel = try link.open(try freePort())
        try link.turns(until: "it is refused") { link.seen[channel.value]?.refused != nil }
        #expect(link.seen[channel.value]?.refused == .connectFailed)
        #expect("\(link.engine.takeRefusal(channel))".contains("connect failed"))
        let closed = try TestServer.withEveryKey("PermitOpen none")
        let other = try TestLink(closed)
        let forbidden = try other.open(1)
        try other.turns(until: "it is forbidden") { other.seen[forbidden.value]?.refused != nil }
        #expect(other.seen[forbidden.value]?.refused == .administrativelyProhibited)
        #expect(throws: SSHError.self) {
            _ = try other.engine.open(
                .forwardedTCPIP(address: "", port: 1, originator: "", originatorPort: 0))
        }
    }

    @Test func unixSocketOfTheServer() throws {
        let server = try TestServer.withEveryKey()
        let link = try TestLink(server)
        let channel = try link.engine.open(.directStreamLocal(path: "/nonexistent/socket"))
        try link.turns(until: "it is refused") { link.seen[channel.value]?.refused != nil }
        #expect(link.seen[channel.value]?.refused == .connectFailed)
    }

    @Test func closeWhileOpening() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        let channels = try (0..<20).map { _ in try link.open(service.port) }
        for channel in channels.dropLast() { link.engine.close(channel) }
        try link.turns(until: "the last is open") { link.seen[channels[19].value]?.opened == true }
        for channel in channels.dropLast() { #expect(link.seen[channel.value]?.opened == false) }
        try Self.echo(link, [channels[19]], 100_000)
    }

    @Test func whatThePeerGrantsAndClosesShowsThatItWorks() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service { connection in while connection.read() != nil {} }
        let link = try TestLink(server)
        #expect(link.engine.channelCount == 0)
        let channel = try link.openNow(service.port)
        #expect(link.engine.channelCount == 1)
        let opened = link.engine.channelProgress
        try link.turn(50)
        #expect(link.engine.channelProgress == opened)
        // More than a window: what goes beyond it was granted, and no event says so.
        var left = 3 << 20
        try link.turns(until: "all is sent") {
            left -= try link.push(channel, left) { $0.initializeMemory(as: UInt8.self, repeating: 0) }
            return left == 0
        }
        let granted = link.engine.channelProgress
        #expect(granted > opened)
        link.engine.close(channel)
        #expect(link.engine.channelProgress >= granted)
        try link.turns(until: "its number is free") { link.engine.channelCount == 0 }
        #expect(link.engine.channelProgress > granted)
    }

    @Test func probeIsAnsweredWithAndWithoutChannels() throws {
        let server = try TestServer.withEveryKey()
        let service = try Service.echo()
        let link = try TestLink(server)
        for _ in 0..<3 {
            let before = link.received
            link.engine.probe()
            try link.turns(until: "an answer comes") { link.received > before }
        }
        // Those answers are not taken for the answer to a request.
        let forward = try link.engine.requestForward(.tcp(address: "localhost", port: 0))
        try link.turns(until: "the forward stands") { link.answers[forward.value] != nil }
        #expect(link.answers[forward.value]?.accepted == true)
        let channel = try link.openNow(service.port)
        let before = link.received
        link.engine.probe()
        try link.turns(until: "an answer comes") { link.received > before }
        try Self.echo(link, [channel], 50_000)
    }

    @Test func idleLinkAnswersTheServer() throws {
        // The server asks every second and gives up after one silent second.
        let server = try TestServer.withEveryKey("ClientAliveInterval 1\nClientAliveCountMax 1")
        let service = try Service.echo()
        let link = try TestLink(server)
        let start = Date()
        while Date().timeIntervalSince(start) < 4.5 {
            try link.turn(50)
            #expect(!link.isOver)
        }
        try Self.echo(link, [link.openNow(service.port)], 1000)
    }
}

/// What a service got, for a test on another thread.
final class Collected: @unchecked Sendable {
    // Unchecked: every access holds the lock.
    private let lock = NSLock()
    private var bytes: [UInt8] = []
    private var ended = false

    func append(_ more: [UInt8]) { lock.withLock { bytes += more } }
    func end() { lock.withLock { ended = true } }
    var isEnded: Bool { lock.withLock { ended } }
    var text: String { lock.withLock { String(decoding: bytes, as: UTF8.self) } }
}
