internal import CLinux
internal import Glibc

/// One end of a line between two processes of culvert's: messages, each whole and in order, with descriptors perhaps.
///
/// A message goes as packets, since the kernel bounds a packet and nothing bounds what is said. Invariant: the packets of one
/// message follow each other, whichever threads send.
public final class ProcessLine: Sendable {
    public struct Message: Sendable {
        public var bytes: [UInt8]
        /// Owned by whoever takes the message.
        public var descriptors: [Descriptor]

        public init(_ bytes: [UInt8], descriptors: [Descriptor] = []) {
            self.bytes = bytes
            self.descriptors = descriptors
        }
    }

    /// What became of a packet.
    public enum Sending: Equatable, Sendable {
        case sent
        /// When it is writable: the other end has not read what it was sent.
        case full
        /// A moment later: the kernel is short of something.
        case delayed
        /// The other end has gone.
        case gone
    }

    /// Bytes of a packet's payload: far below what the kernel takes, so that several fit.
    static let longestPacket = 32 * 1024
    /// More is no message of ours, bytes.
    static let longestMessage = 16 << 20
    /// Descriptors with one message: a connection has two at most.
    static let mostDescriptors = 2
    /// Where the kernel keeps no more descriptors on their way (ETOOMANYREFS), say, it is asked again after this long.
    public static let pause = Tick.Span.milliseconds(10)

    public let descriptor: Descriptor
    /// Whether a thread is sending.
    private let turn = Monitor(false)

    /// Takes the descriptor over.
    public init(adopting descriptor: Descriptor) { self.descriptor = descriptor }

    deinit { _ = culvert_close(descriptor) }

    public static func pair() throws(IOError) -> (Descriptor, Descriptor) {
        var ends: (Int32, Int32) = (-1, -1)
        let result = unsafe withUnsafeMutablePointer(to: &ends) {
            unsafe $0.withMemoryRebound(to: Int32.self, capacity: 2) { unsafe culvert_line_pair($0) }
        }
        guard result == 0 else { throw IOError(-result, "socketpair") }
        return ends
    }

    /// Whether the descriptor is such an end.
    public static func isOne(_ descriptor: Descriptor) -> Bool { culvert_is_line(descriptor) == 1 }

    // MARK: Sending

    /// What goes out for a message, packet by packet; its descriptors go with the last.
    public static func packets(of message: Message) -> [Message] {
        var packets: [Message] = []
        var rest = message.bytes[...]
        repeat {
            let part = rest.prefix(longestPacket)
            rest = rest.dropFirst(part.count)
            var packet: [UInt8] = []
            packet.reserveCapacity(part.count + 1)
            packet.append(rest.isEmpty ? 0 : 1)
            packet += part
            packets.append(Message(packet, descriptors: rest.isEmpty ? message.descriptors : []))
        } while !rest.isEmpty
        return packets
    }

    /// Waits for nothing.
    public func send(packet: Message) -> Sending {
        let count = unsafe culvert_line_send(
            descriptor, packet.bytes, packet.bytes.count, packet.descriptors, Int32(packet.descriptors.count))
        switch Int32(-min(count, 0)) {
        case 0: return .sent
        case EAGAIN: return .full
        case ENOBUFS, ENOMEM, ETOOMANYREFS: return .delayed
        default: return .gone
        }
    }

    /// Waits until the other end takes it. False: it has gone. The bytes are wiped where they were copied.
    @discardableResult
    public func send(_ message: Message) -> Bool {
        turn.wait { isSending -> Monitor<Bool>.Step<Void> in
            guard !isSending else { return .again(by: nil) }
            isSending = true
            return .done(())
        }
        defer { turn.withLock { $0 = false } }
        var packets = Self.packets(of: message)
        defer { for index in packets.indices { packets[index].bytes.wipe() } }
        for packet in packets {
            sending: while true {
                switch send(packet: packet) {
                case .sent: break sending
                case .full: _ = Wait.forWritable([descriptor], until: nil)
                case .delayed: _ = Wait.forReadable([], until: Tick.current() + Self.pause)
                case .gone: return false
                }
            }
        }
        return true
    }
}

/// What comes on a line, put together. Of one thread.
public struct ProcessLineReader {
    public enum Step: Sendable {
        case message(ProcessLine.Message)
        /// Nothing more for now.
        case nothing
        /// The other end has gone, or says what nobody of ours would.
        case gone
    }

    public let line: ProcessLine
    private var partial: [UInt8] = []
    private var room = [UInt8](repeating: 0, count: ProcessLine.longestPacket + 1)

    public init(_ line: ProcessLine) { self.line = line }

    /// Waits for nothing.
    public mutating func next() -> Step {
        while true {
            var attached = [Descriptor](repeating: -1, count: ProcessLine.mostDescriptors)
            var attachedCount = Int32(attached.count)
            let count = unsafe culvert_line_receive(line.descriptor, &room, room.count, &attached, &attachedCount)
            if count == -Int64(EAGAIN) { return .nothing }
            let descriptors = Array(attached.prefix(Int(attachedCount)))
            defer { unsafe room.withUnsafeMutableBytes { unsafe explicit_bzero($0.baseAddress!, max(0, Int(count))) } }
            let isWhole = room[0] == 0
            guard count > 0, room[0] <= 1, isWhole || descriptors.isEmpty,
                partial.count + Int(count) <= ProcessLine.longestMessage
            else {
                descriptors.forEach(SocketOption.close)
                return .gone
            }
            partial += room[1..<Int(count)]
            guard isWhole else { continue }
            defer { partial = [] }
            return .message(ProcessLine.Message(partial, descriptors: descriptors))
        }
    }

    /// Waits for the next message; nil: the other end has gone.
    public mutating func wait() -> ProcessLine.Message? {
        while true {
            switch next() {
            case .message(let message): return message
            case .gone: return nil
            case .nothing: _ = Wait.forReadable([line.descriptor], until: nil)
            }
        }
    }
}

extension [UInt8] {
    /// Overwrites what it holds with zeros.
    public mutating func wipe() {
        unsafe withUnsafeMutableBytes { if let start = $0.baseAddress { unsafe explicit_bzero(start, $0.count) } }
    }
}
