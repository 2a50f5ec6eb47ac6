import Glibc
import Testing

@testable import CulvertIO

/// The line between two processes of culvert's, here within one.
@Suite struct ProcessLineTests {
    private func line() throws -> (ProcessLine, ProcessLine) {
        let (left, right) = try ProcessLine.pair()
        return (ProcessLine(adopting: left), ProcessLine(adopting: right))
    }

    @Test("messages of every length come whole and in order, while others are sent")
    func lengths() async throws {
        let (left, right) = try line()
        let longest = ProcessLine.longestPacket
        let lengths = [0, 1, longest - 1, longest, longest + 1, 3 * longest, 1_000_000]
        for sender in 0..<2 {
            try Thread.start(name: "sender") {
                for length in lengths {
                    left.send(ProcessLine.Message([UInt8](repeating: UInt8(sender), count: length)))
                }
            }
        }
        var reader = ProcessLineReader(right)
        var came: [[Int]] = [[], []]
        for _ in 0..<(2 * lengths.count) {
            guard let message = reader.wait() else { throw IOError(EPIPE, "the line is over") }
            #expect(Set(message.bytes).count <= 1, "two messages are mixed")
            if let sender = message.bytes.first { came[Int(sender)].append(message.bytes.count) }
        }
        #expect(came == [Array(lengths.dropFirst()), Array(lengths.dropFirst())])
    }

    @Test("descriptors go along, and the sender keeps its own")
    func descriptors() throws {
        let (left, right) = try line()
        let (near, far) = try SocketOption.pair()
        defer { SocketOption.close(near) }
        let long = [UInt8](repeating: 7, count: 2 * ProcessLine.longestPacket)
        #expect(left.send(ProcessLine.Message(long, descriptors: [far, near])))
        var reader = ProcessLineReader(right)
        guard let message = reader.wait() else { throw IOError(EPIPE, "the line is over") }
        #expect(message.bytes == long && message.descriptors.count == 2)
        var byte: UInt8 = 1
        #expect(write(message.descriptors[0], &byte, 1) == 1)
        #expect(read(near, &byte, 1) == 1)
        #expect(fcntl(message.descriptors[0], F_GETFD) == FD_CLOEXEC)
        message.descriptors.forEach(SocketOption.close)
        #expect(write(far, &byte, 1) == 1)
        SocketOption.close(far)
    }

    @Test("what was said before the other end went is heard, then its end; whoever sends to it is told")
    func end() throws {
        let (near, far) = try ProcessLine.pair()
        let right = ProcessLine(adopting: far)
        var left: ProcessLine? = ProcessLine(adopting: near)
        left?.send(ProcessLine.Message([1]))
        left = nil
        var reader = ProcessLineReader(right)
        let (last, none) = (reader.wait(), reader.wait())
        #expect(last?.bytes == [1] && none == nil)
        #expect(!right.send(ProcessLine.Message([2])))
    }

    @Test("a line that nobody reads is full, and writable again when somebody has")
    func full() throws {
        let (left, right) = try line()
        let packet = ProcessLine.Message([0] + [UInt8](repeating: 1, count: 1000))
        var count = 0
        while left.send(packet: packet) == .sent { count += 1 }
        #expect(count > 10 && left.send(packet: packet) == .full)
        #expect(Wait.forReadable([left.descriptor], orWritable: left.descriptor, until: .current()).isEmpty)
        var reader = ProcessLineReader(right)
        for _ in 0..<count {
            let message = reader.wait()
            #expect(message?.bytes.count == 1000)
        }
        guard case .nothing = reader.next() else { throw IOError(EPROTO, "more has come than was sent") }
        let ready = Wait.forReadable([left.descriptor], orWritable: left.descriptor, until: .current() + .seconds(5))
        #expect(ready == [left.descriptor])
    }

    @Test("packets that nobody of ours sends are the end")
    func damage() throws {
        for packet: [UInt8] in [[2], [0xff, 1, 2], [UInt8](repeating: 0, count: ProcessLine.longestPacket + 2)] {
            let (left, right) = try line()
            #expect(left.send(packet: ProcessLine.Message(packet)) == .sent)
            var reader = ProcessLineReader(right)
            guard case .gone = reader.next() else { throw IOError(EPROTO, "it was taken") }
        }
        let (left, right) = try line()
        let (near, far) = try SocketOption.pair()
        defer { for each in [near, far] { SocketOption.close(each) } }
        // In the middle of a message, or more than one carries.
        for (packet, attached) in [([1, 5] as [UInt8], [near]), ([0, 5], [near, far, near])] {
            #expect(left.send(packet: ProcessLine.Message(packet, descriptors: attached)) == .sent)
        }
        var reader = ProcessLineReader(right)
        guard case .gone = reader.next() else { throw IOError(EPROTO, "a descriptor within a message was taken") }
        guard case .message(let message) = reader.next() else { throw IOError(EPROTO, "nothing came") }
        #expect(message.descriptors.isEmpty)
    }

    @Test("only an end of a line is taken for one")
    func kinds() throws {
        let (left, _) = try line()
        #expect(ProcessLine.isOne(left.descriptor))
        let (near, far) = try SocketOption.pair()
        defer { for each in [near, far] { SocketOption.close(each) } }
        #expect(!ProcessLine.isOne(near) && !ProcessLine.isOne(STDERR_FILENO) && !ProcessLine.isOne(-1))
    }
}
