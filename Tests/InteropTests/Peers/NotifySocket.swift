import Foundation

/// The socket of a service manager that `sd_notify` messages go to.
final class NotifySocket {
    let path: String
    private(set) var heard: [String] = []
    private let descriptor: Int32

    init(_ path: String) throws {
        self.path = path
        let made = socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        descriptor = made
        try Address.unix(path).withSockaddr { pointer, length, _ in
            guard bind(made, pointer, length) == 0 else { throw Failure("bind: \(lastError())") }
        }
    }

    deinit { close(descriptor) }

    /// Takes what has come, without waiting.
    func listen() {
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            guard count > 0 else { return }
            heard.append(String(decoding: buffer[..<count], as: UTF8.self))
        }
    }

    func wait(_ word: String) throws {
        try waitUntil("systemd hears \(word), it heard \(heard)") {
            listen()
            return heard.contains { $0.contains(word) }
        }
    }
}
