// The same in C++: consumer_cpp VERSION [BUNDLE]
#include <flowtell/flowtell.hpp>

#include <iostream>
#include <string>

int main(int argc, char **argv) {
    if (argc < 2 || argv[1] != std::string(flowtell_version())) {
        return 1;
    }
    try {
        if (argc > 2) {
            std::cout << flowtell::Detector({argv[2]}).describe().bundle_name << '\n';
        }
    } catch (const flowtell::Error &error) {
        std::cerr << error.what() << '\n';
        return 1;
    }
    return 0;
}
