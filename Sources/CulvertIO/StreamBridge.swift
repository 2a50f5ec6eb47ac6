internal import CLinux
internal import Glibc

/// Carries between two descriptors that another process has handed over and a socket of ours. A
/// thread for each direction, which may wait: what was handed over need not be a socket, and its mode is shared with
/// whoever has it too.
///
/// Invariant: the descriptors are open until both threads have ended, and closed once.
public final class StreamBridge: Sendable {
    private static let roomLength = 64 << 10

    private let input: Descriptor
    private let output: Descriptor
    private let socket: Descriptor
    private let directions = Guarded(2)
    private let ended: @Sendable () -> Void

    /// Takes the descriptors over; `socket` is one end of a pair of ours. `ended` is called once, on a thread of its own,
    /// when both directions have ended.
    public static func begin(
        input: Descriptor, output: Descriptor, socket: Descriptor, ended: @escaping @Sendable () -> Void
    ) -> StreamBridge {
        let bridge = StreamBridge(input: input, output: output, socket: socket, ended: ended)
        for body in [bridge.carryIn, bridge.carryOut] {
            // Where no thread can be had this direction has ended, and with it the other.
            do throws(IOError) { try Thread.start(name: "culvert-stream", body) } catch {
                bridge.cut()
                bridge.directionEnded()
            }
        }
        return bridge
    }

    private init(input: Descriptor, output: Descriptor, socket: Descriptor, ended: @escaping @Sendable () -> Void) {
        self.input = input
        self.output = output
        self.socket = socket
        self.ended = ended
    }

    /// Both directions end soon, whatever is under way.
    public func cut() { directions.withLock { if $0 > 0 { SocketOption.cut(socket) } } }

    private func directionEnded() {
        let isLast = directions.withLock { left in
            left -= 1
            guard left == 0 else { return false }
            for each in [input, output, socket] { SocketOption.close(each) }
            return true
        }
        if isLast { ended() }
    }

    /// To its end, or until nobody takes it.
    @Sendable private func carryIn() {
        defer { directionEnded() }
        var room = [UInt8](repeating: 0, count: Self.roomLength)
        while true {
            let ready = Wait.forEither(reading: [input], writing: [], ending: [socket], until: nil)
            if ready.contains(socket) { return }
            guard ready.contains(input) else { continue }
            let count = unsafe culvert_read(input, &room, room.count)
            if count == -Int64(EAGAIN) { continue }
            guard count > 0 else {
                // A read that fails is no end of a stream.
                if count == 0 { _ = culvert_shutdown(socket, 1) } else { SocketOption.cut(socket) }
                return
            }
            guard write(room[..<Int(count)], to: socket) else { return }
        }
    }

    @Sendable private func carryOut() {
        defer { directionEnded() }
        var room = [UInt8](repeating: 0, count: Self.roomLength)
        while true {
            let count = unsafe culvert_receive(socket, &room, room.count)
            if count == -Int64(EAGAIN) {
                _ = Wait.forReadable([socket], until: nil)
                continue
            }
            guard count > 0 else { return }
            guard write(room[..<Int(count)], to: output) else { return SocketOption.cut(socket) }
        }
    }

    /// Whether all of it went.
    private func write(_ bytes: ArraySlice<UInt8>, to descriptor: Descriptor) -> Bool {
        var rest = bytes
        while !rest.isEmpty {
            let count = unsafe rest.withUnsafeBytes { unsafe culvert_write(descriptor, $0.baseAddress, $0.count) }
            if count == -Int64(EAGAIN) {
                _ = Wait.forEither(reading: [], writing: [descriptor], ending: [socket], until: nil)
            } else {
                guard count > 0 else { return false }
                rest = rest.dropFirst(Int(count))
            }
        }
        return true
    }
}
