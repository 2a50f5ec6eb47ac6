import CulvertSSH
import Foundation
import TestSupport

/// Trusts the key it is told to, any if none is told, and logs in with the given credentials in order.
final class NativeAuthority: LoginAuthority {
    var userName = NSUserName()
    var known: [String] = []
    var trusts = true
    var credentials: [Credential] = []
    /// To every challenge; nil: gives up.
    var answers: [Secret]?
    private(set) var hostKeys: [[UInt8]] = []
    private(set) var reasons: [String?] = []
    private(set) var banners: [String] = []

    func knownHostKeyAlgorithms() -> [String] { known }
    func verify(hostKey key: [UInt8]) throws(SSHError) {
        hostKeys.append(key)
        if !trusts { throw SSHError(.hostKey, "the host key is not the one that is known") }
    }
    func nextCredential(methods: [String], partialSuccess: Bool) throws(SSHError) -> Credential? {
        credentials.isEmpty ? nil : credentials.removeFirst()
    }
    func refused(reason: String?) { reasons.append(reason) }
    func answer(_ challenge: Challenge) throws(SSHError) -> [Secret]? { answers }
    func show(banner: PeerText) { banners.append(banner.description) }

    /// The key that the server knows.
    static func withKey() throws -> NativeAuthority {
        let authority = NativeAuthority()
        var text = try TestKeys.text("id_ed25519")
        authority.credentials = [.keyFile(name: "id_ed25519", contents: Secret(wiping: &text), passphrase: nil)]
        return authority
    }
}

/// Drives the native engine over one socket, and blocks: what the relay does, in the simplest form.
final class NativeLink {
    private var end: ClientEnd
    let authority: NativeAuthority
    private let socket: Socket
    private let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 256 << 10, alignment: 4096)
    private var held = 0
    private(set) var allSendable = 0

    convenience init(_ server: TestServer, _ settings: NativeSettings = NativeSettings()) throws {
        try self.init(port: server.port, .withKey(), settings)
    }

    init(port: UInt16, _ authority: NativeAuthority, _ settings: NativeSettings) throws {
        end = try ClientEnd(settings: settings)
        self.authority = authority
        socket = try Socket.connect(port)
        _ = fcntl(socket.descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit {
        socket.close()
        buffer.deallocate()
    }

    private var lent: UnsafeMutableRawBufferPointer { UnsafeMutableRawBufferPointer(rebasing: buffer[..<held]) }

    var engine: NativeEngine {
        _read { yield end.engine }
        _modify { yield &end.engine }
    }

    private func receive(_ handle: (inout NativeEngine, EngineEvent) -> Void) throws(SSHError) {
        let used = try end.receive(lent, authority, handle)
        if used > 0 && used < held {
            buffer.baseAddress!.copyMemory(from: buffer.baseAddress! + used, byteCount: held - used)
        }
        held -= used
    }

    func login() throws {
        while true {
            do throws(SSHError) {
                // In one piece with the word that the login succeeded, as it happens.
                try receive { _, event in
                    guard case .hostKeysOffered = event else { preconditionFailure("a link begins with \(event)") }
                }
            } catch {
                flush()
                throw error
            }
            flush()
            if end.isLoggedIn { return }
            try wait(seconds: 20)
        }
    }

    /// Waits for bytes, or for room when some wait to be sent.
    private func wait(seconds: Int32) throws {
        var entry = pollfd(fd: socket.descriptor, events: Int16(POLLIN), revents: 0)
        if end.output.count > 0 { entry.events |= Int16(POLLOUT) }
        guard poll(&entry, 1, seconds * 1000) > 0 else { throw Failed("nothing comes") }
        if entry.revents & Int16(POLLOUT) != 0 { flush() }
        guard entry.revents & ~Int16(POLLOUT) != 0 else { return }
        let count = read(socket.descriptor, buffer.baseAddress! + held, buffer.count - held)
        guard count > 0 || (count < 0 && errno == EAGAIN) else { throw Failed("the server closed") }
        held += max(0, count)
    }

    private func flush() {
        while end.output.count > 0 {
            let output = end.output
            let count = send(socket.descriptor, output.baseAddress, output.count, Int32(MSG_NOSIGNAL))
            guard count > 0 else { return }
            end.outputSent(count)
        }
    }

    /// One turn. Payload is shown to `payload` and credited at once.
    func turn(_ payload: (UnsafeRawBufferPointer) -> Void) throws -> [EngineEvent] {
        flush()
        try wait(seconds: 20)
        var events: [EngineEvent] = []
        var renewals = 0
        try receive { engine, event in
            if case .payload(let channel, let range) = event {
                payload(UnsafeRawBufferPointer(start: range.start, count: range.count))
                engine.credit(channel, count: range.count)
            } else {
                if case .allSendable = event { renewals += 1 }
                events.append(event)
            }
        }
        allSendable += renewals
        return events
    }

    /// Sends `total` bytes of a known sequence through a channel to an echo and compares what comes back.
    func echo(_ port: UInt16, total: Int) throws {
        let channel = try engine.open(
            .directTCPIP(host: "127.0.0.1", port: port, originator: "127.0.0.1", originatorPort: 1))
        var sent = 0
        var received = 0
        var wrong = 0
        var isOpen = false
        var isOver = false
        func byte(_ index: Int) -> UInt8 { UInt8(truncatingIfNeeded: index &* 167 &+ index >> 9) }
        while !isOver {
            // More than the window at once would only wait in the echo: keep a megabyte under way.
            while isOpen && sent < total && sent - received < 1 << 20 {
                let slots = engine.reserve(channel, maximum: min(total - sent, 256 << 10))
                guard slots.totalLength > 0 else { break }
                for index in 0..<slots.count {
                    let length = index == slots.count - 1 ? slots.lastLength : slots.slotLength
                    let place = slots.first! + index * slots.stride
                    for offset in 0..<length {
                        place.storeBytes(of: byte(sent + offset), toByteOffset: offset, as: UInt8.self)
                    }
                    sent += length
                }
                try engine.commit(channel, count: slots.totalLength)
                flush()
                if sent == total { engine.finish(channel) }
            }
            for event in try turn({ bytes in
                for value in bytes {
                    if value != byte(received) { wrong += 1 }
                    received += 1
                }
            }) {
                switch event {
                case .opened(channel): isOpen = true
                case .openRefused: throw Failed("the channel was refused: \(engine.takeRefusal(channel))")
                case .closed(channel, _):
                    engine.close(channel)
                    isOver = true
                default: break
                }
            }
        }
        flush()
        guard sent == total, received == total, wrong == 0 else {
            throw Failed("sent \(sent), received \(received), wrong \(wrong) of \(total)")
        }
    }
}
