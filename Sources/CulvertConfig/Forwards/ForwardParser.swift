internal import CulvertPlan

/// Reads the argument of `-L`, `-R`, `-D` and `-W`, in ssh's grammar:
/// ```
/// [bind_address:]port:host:hostport    [bind_address:]port:/path      -L and -R
/// /path:host:hostport                  /path:/path
/// [bind_address:]port                                                 -D and -R
/// /path                                                               -D and -R
/// host:port                            /path                          -W
/// ```
/// An IPv6 address stands in brackets, as may every field; a backslash takes the next character as it is, and a field with
/// a slash in it, in brackets too, is the path of a Unix socket where one can stand. `bind/port/host/hostport`, OpenSSH's older form, is read when the other one fails.
public struct ForwardParser {
    let kind: ForwardSpecification.Kind
    let text: String

    /// `sun_path` holds 108 bytes with its terminator (unix(7)).
    public static let maximumPathLength = 107
    /// NI_MAXHOST of getnameinfo(3), which OpenSSH also refuses to pass.
    public static let maximumHostLength = 1024

    public static func parse(_ text: String, kind: ForwardSpecification.Kind) throws(ConfigurationError)
        -> ForwardSpecification
    {
        let text = String(text.drop { $0.isWhitespace })
        let parser = ForwardParser(kind: kind, text: text)
        do {
            return try parser.specification(from: ForwardField.split(text, parser: parser))
        } catch {
            guard let fields = parser.slashFields() else { throw error }
            return try parser.specification(from: fields)
        }
    }

    /// One line: what was typed, the cause, the mend.
    func fault(_ cause: String) -> ConfigurationError {
        ConfigurationError("\(kind.flag) \(text): \(cause)")
    }

    private func specification(from fields: [ForwardField]) throws(ConfigurationError) -> ForwardSpecification {
        let listen: ListenEndpoint
        let target: Target
        if kind == .streams {
            guard fields.count == (fields[0].isPath ? 1 : 2) else { throw shapeFault(fields) }
            return ForwardSpecification(
                kind: kind, listen: .standardStreams, target: try self.target(fields[...]), text: text)
        }
        if let listen = try listeningEnd(of: fields) {
            return ForwardSpecification(kind: kind, listen: listen, target: .requested, text: text)
        }
        if kind == .dynamic { throw shapeFault(fields) }
        switch (fields.count, fields.first?.isPath ?? false, fields.last?.isPath ?? false) {
        case (2, true, true), (3, true, false):
            listen = .unix(path: try path(fields[0]))
            target = try self.target(fields.dropFirst())
        case (2, false, true), (3, false, false):
            listen = .tcp(bind: .default, port: try listenPort(fields[0]))
            target = try self.target(fields.dropFirst())
        case (3, false, true), (4, _, false):
            listen = .tcp(bind: try bind(fields[0]), port: try listenPort(fields[1]))
            target = try self.target(fields.dropFirst(2))
        default:
            throw shapeFault(fields)
        }
        return ForwardSpecification(kind: kind, listen: listen, target: target, text: text)
    }

    /// Of a dynamic forward, which has no other end; nil when this is none.
    private func listeningEnd(of fields: [ForwardField]) throws(ConfigurationError) -> ListenEndpoint? {
        guard kind == .dynamic || kind == .remote, listensOnly(fields) else { return nil }
        if fields[0].isPath {
            let isOlderForm = !text.hasPrefix("/") && slashFields() != nil
            return isOlderForm ? nil : .unix(path: try path(fields[0]))
        }
        let bind: BindAddress = fields.count == 2 ? try self.bind(fields[0]) : .default
        return .tcp(bind: bind, port: try listenPort(fields[fields.count - 1]))
    }

    private func shapeFault(_ fields: [ForwardField]) -> ConfigurationError {
        let form = kind.form
        if text.isEmpty { return fault("empty: \(form)") }
        if fields.count > 4 {
            return fault("too many fields: \(form), with an IPv6 address in brackets, for example [::1]")
        }
        if kind == .dynamic {
            return fault(fields.count > 2 ? "SOCKS clients name the target: \(form)" : "no port to listen on: \(form)")
        }
        switch fields.count {
        case _ where kind == .streams: return fault("no host and port: \(form)")
        case 1: return fault("no target: \(form)")
        case 2: return fault("no target port: \(form)")
        default: return fault("a path where none can stand: \(form), port:/path, /path:host:hostport or /path:/path")
        }
    }

    private func listensOnly(_ fields: [ForwardField]) -> Bool {
        switch fields.count {
        case 1: fields[0].isPath || PortNumber.parse(fields[0].text) != nil
        case 2: !fields[0].isPath && PortNumber.parse(fields[1].text) != nil
        default: false
        }
    }

    private func target(_ fields: ArraySlice<ForwardField>) throws(ConfigurationError) -> Target {
        guard let first = fields.first, let last = fields.last, fields.count <= 2 else { throw shapeFault([]) }
        if fields.count == 1 { return .unix(path: try path(first)) }
        let host = try self.host(first, what: "target host")
        guard let port = PortNumber.parse(last.text), port > 0 else {
            throw fault("target port '\(last.text)' is \(PortNumber.cause)")
        }
        return .tcp(host: host, port: port)
    }

    private func listenPort(_ field: ForwardField) throws(ConfigurationError) -> UInt16 {
        guard let port = PortNumber.parse(field.text) else {
            throw fault("listening port '\(field.text)' is \(PortNumber.listenCause)")
        }
        return port
    }

    private func bind(_ field: ForwardField) throws(ConfigurationError) -> BindAddress {
        switch field.text {
        case "", "*": .everywhere
        case "localhost": .loopback
        default: .address(try host(field, what: "bind address"))
        }
    }

    private func host(_ field: ForwardField, what: String) throws(ConfigurationError) -> String {
        let host = field.text
        if host.isEmpty { throw fault("no \(what): give a name or an address") }
        if host.utf8.count > Self.maximumHostLength {
            throw fault("\(what) of \(host.utf8.count) bytes: at most \(Self.maximumHostLength) are possible")
        }
        if !HostName.isPrintable(host) { throw fault("\(what) '\(host)' is not printable") }
        return host
    }

    private func path(_ field: ForwardField) throws(ConfigurationError) -> String {
        guard field.isPath else { throw fault("'\(field.text)' is no path: give one that begins with '/'") }
        guard field.text.utf8.count <= Self.maximumPathLength else { throw pathFault(field.text) }
        return field.text
    }

    func pathFault(_ path: String) -> ConfigurationError {
        fault("socket path of \(path.utf8.count) bytes: at most \(Self.maximumPathLength) are possible")
    }

    /// `bind/port/host/hostport` or `port/host/hostport`; nil when the text has not that shape.
    private func slashFields() -> [ForwardField]? {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard parts.count == 3 || parts.count == 4, PortNumber.parse(parts[parts.count - 3]) != nil,
            PortNumber.parse(parts[parts.count - 1]) != nil
        else { return nil }
        return parts.map { part in
            let bracketed = part.hasPrefix("[") && part.hasSuffix("]")
            return ForwardField(text: bracketed ? String(part.dropFirst().dropLast()) : part, isPath: false)
        }
    }
}

/// What stands between two colons.
struct ForwardField: Hashable {
    var text: String
    var isPath: Bool

    static func split(_ text: String, parser: ForwardParser) throws(ConfigurationError) -> [ForwardField] {
        var fields: [ForwardField] = []
        var rest = Substring(text)
        while true {
            fields.append(try take(from: &rest, parser: parser))
            guard rest.popFirst() != nil else { return fields }
        }
    }

    /// Takes one field and leaves its colon.
    private static func take(from rest: inout Substring, parser: ForwardParser) throws(ConfigurationError)
        -> ForwardField
    {
        if rest.first == "[" {
            guard let close = rest.firstIndex(of: "]") else { throw parser.fault("'[' without ']'") }
            let inside = String(rest[rest.index(after: rest.startIndex)..<close])
            rest = rest[rest.index(after: close)...]
            guard rest.isEmpty || rest.first == ":" else { throw parser.fault("':' is missing after ']'") }
            return ForwardField(text: inside, isPath: inside.contains("/"))
        }
        var field = ForwardField(text: "", isPath: false)
        while let character = rest.first, character != ":" {
            rest.removeFirst()
            if character == "\\", let next = rest.popFirst() {
                field.text.append(next)
                continue
            }
            if character == "/" { field.isPath = true }
            field.text.append(character)
        }
        return field
    }
}
