internal import CLinux
internal import Glibc

/// Tells a service manager how the service is (sd_notify(3)). Does nothing when none asked.
public struct ServiceNotifier: Sendable {
    private let path: String?

    /// Reads NOTIFY_SOCKET.
    public init() {
        guard let value = unsafe getenv("NOTIFY_SOCKET") else {
            path = nil
            return
        }
        path = unsafe String(cString: value)
    }

    /// `state` as sd_notify(3) has it: "READY=1", "STATUS=…", "STOPPING=1", one a line.
    public func tell(_ state: String) {
        guard let path else { return }
        let bytes = Array(state.utf8)
        _ = unsafe bytes.withUnsafeBytes { unsafe culvert_send_datagram(path, $0.baseAddress, $0.count) }
    }
}
