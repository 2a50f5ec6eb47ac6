internal import Glibc

/// A process whose processor time and memory are looked at from outside.
struct WatchedProcess: Sendable {
    struct Reading: Sendable {
        /// User and system time since its start.
        var processorSeconds: Double
        /// Resident memory.
        var bytes: Int
    }

    let identifier: Int32
    let name: String

    /// nil when there is no such process.
    init?(_ identifier: Int32) {
        self.identifier = identifier
        guard let text = Self.contents("/proc/\(identifier)/stat"), let open = text.firstIndex(of: "("),
            let close = text.lastIndex(of: ")")
        else { return nil }
        name = String(text[text.index(after: open)..<close])
    }

    /// nil once it has ended.
    func read() -> Reading? {
        guard let text = Self.contents("/proc/\(identifier)/stat") else { return nil }
        return Self.reading(text, ticksASecond: sysconf(Int32(_SC_CLK_TCK)), pageSize: sysconf(Int32(_SC_PAGESIZE)))
    }

    /// Reads the fields of proc(5)'s `stat`; the name, in brackets, may hold anything.
    static func reading(_ text: String, ticksASecond: Int, pageSize: Int) -> Reading? {
        guard let close = text.lastIndex(of: ")") else { return nil }
        // The first of these is the third field.
        let fields = text[text.index(after: close)...].split(whereSeparator: \.isWhitespace)
        guard fields.count > 21, let user = Int(fields[11]), let system = Int(fields[12]), let pages = Int(fields[21])
        else { return nil }
        return Reading(
            processorSeconds: Double(user + system) / Double(ticksASecond), bytes: pages * pageSize)
    }

    private static func contents(_ path: String) -> String? {
        let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { _ = close(descriptor) }
        var bytes = [UInt8](repeating: 0, count: 4096)
        let count = unsafe Glibc.read(descriptor, &bytes, bytes.count)
        return count > 0 ? String(decoding: bytes[..<count], as: UTF8.self) : nil
    }
}
