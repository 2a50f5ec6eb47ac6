internal import Glibc

/// A TCP port as ssh reads it: a decimal number, or a service's name.
enum PortNumber {
    static let cause = "not a port: give a number from 1 to 65535"
    /// Where 0 has one chosen.
    static let listenCause = "not a port: give a number from 0, for any, to 65535"

    /// nil: neither a number in 0...65535 nor a name that `service` knows.
    static func parse(_ text: String, service: (String) -> UInt16? = systemService) -> UInt16? {
        // As strtonum(3), which ssh reads it with.
        let digits = text.hasPrefix("+") ? text.dropFirst() : text[...]
        if !digits.isEmpty, digits.utf8.allSatisfy({ (0x30...0x39).contains($0) }) { return UInt16(digits) }
        guard text.utf8.first.map({ (0x61...0x7a).contains($0 | 0x20) }) == true else { return nil }
        return service(text)
    }

    /// /etc/services, or what nsswitch.conf(5) names in its place.
    static func systemService(_ name: String) -> UInt16? {
        var text = [CChar](repeating: 0, count: 8192)
        return unsafe text.withUnsafeMutableBufferPointer { buffer in
            var entry = unsafe servent()
            var found: UnsafeMutablePointer<servent>?
            guard let base = buffer.baseAddress,
                unsafe getservbyname_r(name, "tcp", &entry, base, buffer.count, &found) == 0, unsafe found != nil
            else { return nil }
            return unsafe UInt16(bigEndian: UInt16(truncatingIfNeeded: entry.s_port))
        }
    }
}
