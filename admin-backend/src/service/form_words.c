#include "service/form_words.h"

#include <string.h>

static const struct form_words languages[] = {
    {
        .language = "en", .optional = "optional", .choose = "Please choose", .button = "Send",
        .errors = "Please check what you have entered", .missing = "Please fill this in.",
        .unticked = "Please tick this box.", .unchosen = "Please choose.",
        .bad_email = "Please enter an e-mail address such as name@example.com.",
        .bad_phone = "Please enter a phone number with its country code, such as +44 20 7946 0000.",
        .bad_number = "Please enter a number within the range.", .bad_date = "Please enter a date within the range.",
        .bad_choice = "Please choose from the list.", .bad_text = "This does not look right. Please check it.",
        .stale = "This page was open for a long time. Please send it once more.",
        .busy = "There were too many attempts. Please wait a minute and send it again.",
        .unavailable = "We cannot take this right now. Please send it again in a few minutes.",
        .trap = "Leave this empty", .done_title = "Thank you", .done = "We have received your details.",
        .wait_title = "One moment", .wait = "We are preparing your account. This page goes on by itself.",
        .again = "Go on now",
    },
    {
        .language = "de", .optional = "freiwillig", .choose = "Bitte wählen", .button = "Absenden",
        .errors = "Bitte prüfen Sie Ihre Angaben", .missing = "Bitte füllen Sie dieses Feld aus.",
        .unticked = "Bitte setzen Sie dieses Häkchen.", .unchosen = "Bitte treffen Sie eine Auswahl.",
        .bad_email = "Bitte geben Sie eine E-Mail-Adresse wie name@example.com an.",
        .bad_phone = "Bitte geben Sie eine Telefonnummer mit Landesvorwahl an, etwa +49 30 901820.",
        .bad_number = "Bitte geben Sie eine Zahl im erlaubten Bereich an.",
        .bad_date = "Bitte geben Sie ein Datum im erlaubten Bereich an.",
        .bad_choice = "Bitte wählen Sie aus der Liste.", .bad_text = "Das sieht nicht richtig aus. Bitte prüfen Sie es.",
        .stale = "Diese Seite war lange geöffnet. Bitte senden Sie sie noch einmal ab.",
        .busy = "Es gab zu viele Versuche. Bitte warten Sie eine Minute und senden Sie erneut.",
        .unavailable = "Das geht im Augenblick nicht. Bitte senden Sie es in ein paar Minuten noch einmal.",
        .trap = "Bitte frei lassen", .done_title = "Vielen Dank", .done = "Wir haben Ihre Angaben erhalten.",
        .wait_title = "Einen Augenblick", .wait = "Wir bereiten Ihr Konto vor. Diese Seite geht von selbst weiter.",
        .again = "Jetzt weiter",
    },
    {
        .language = "es", .optional = "opcional", .choose = "Elija una opción", .button = "Enviar",
        .errors = "Revise los datos introducidos", .missing = "Rellene este campo.",
        .unticked = "Marque esta casilla.", .unchosen = "Elija una opción.",
        .bad_email = "Introduzca una dirección de correo como nombre@example.com.",
        .bad_phone = "Introduzca un teléfono con prefijo de país, por ejemplo +34 910 000 000.",
        .bad_number = "Introduzca un número dentro del intervalo.", .bad_date = "Introduzca una fecha dentro del intervalo.",
        .bad_choice = "Elija una opción de la lista.", .bad_text = "Esto no parece correcto. Revíselo.",
        .stale = "Esta página llevaba mucho tiempo abierta. Envíela otra vez.",
        .busy = "Ha habido demasiados intentos. Espere un minuto y envíelo de nuevo.",
        .unavailable = "Ahora no podemos recibirlo. Envíelo de nuevo dentro de unos minutos.",
        .trap = "Deje esto vacío", .done_title = "Gracias", .done = "Hemos recibido sus datos.",
        .wait_title = "Un momento", .wait = "Estamos preparando su cuenta. Esta página continúa sola.",
        .again = "Continuar ahora",
    },
    {
        .language = "fr", .optional = "facultatif", .choose = "Veuillez choisir", .button = "Envoyer",
        .errors = "Veuillez vérifier votre saisie", .missing = "Veuillez remplir ce champ.",
        .unticked = "Veuillez cocher cette case.", .unchosen = "Veuillez faire un choix.",
        .bad_email = "Veuillez saisir une adresse e-mail telle que nom@example.com.",
        .bad_phone = "Veuillez saisir un numéro avec l’indicatif du pays, par exemple +33 1 99 00 00 00.",
        .bad_number = "Veuillez saisir un nombre dans l’intervalle.", .bad_date = "Veuillez saisir une date dans l’intervalle.",
        .bad_choice = "Veuillez choisir dans la liste.", .bad_text = "Cela ne semble pas correct. Veuillez vérifier.",
        .stale = "Cette page est restée ouverte longtemps. Veuillez l’envoyer encore une fois.",
        .busy = "Il y a eu trop de tentatives. Veuillez patienter une minute, puis renvoyer.",
        .unavailable = "Nous ne pouvons pas recevoir ceci pour l’instant. Veuillez renvoyer dans quelques minutes.",
        .trap = "Laissez ce champ vide", .done_title = "Merci", .done = "Nous avons bien reçu vos informations.",
        .wait_title = "Un instant", .wait = "Nous préparons votre compte. Cette page continue d’elle-même.",
        .again = "Continuer maintenant",
    },
    {
        .language = "it", .optional = "facoltativo", .choose = "Scegli", .button = "Invia",
        .errors = "Controlla i dati inseriti", .missing = "Compila questo campo.",
        .unticked = "Seleziona questa casella.", .unchosen = "Fai una scelta.",
        .bad_email = "Inserisci un indirizzo e-mail come nome@example.com.",
        .bad_phone = "Inserisci un numero con il prefisso del paese, per esempio +39 06 0000 0000.",
        .bad_number = "Inserisci un numero compreso nell’intervallo.", .bad_date = "Inserisci una data compresa nell’intervallo.",
        .bad_choice = "Scegli dall’elenco.", .bad_text = "Non sembra corretto. Controlla.",
        .stale = "Questa pagina è rimasta aperta a lungo. Inviala ancora una volta.",
        .busy = "Ci sono stati troppi tentativi. Attendi un minuto e invia di nuovo.",
        .unavailable = "Al momento non possiamo ricevere i dati. Invia di nuovo tra qualche minuto.",
        .trap = "Lascia vuoto", .done_title = "Grazie", .done = "Abbiamo ricevuto i tuoi dati.",
        .wait_title = "Un momento", .wait = "Stiamo preparando il tuo conto. Questa pagina prosegue da sola.",
        .again = "Prosegui ora",
    },
    {
        .language = "pt", .optional = "opcional", .choose = "Escolha", .button = "Enviar",
        .errors = "Verifique os dados introduzidos", .missing = "Preencha este campo.",
        .unticked = "Marque esta caixa.", .unchosen = "Faça uma escolha.",
        .bad_email = "Introduza um endereço de e-mail como nome@example.com.",
        .bad_phone = "Introduza um telefone com o indicativo do país, por exemplo +351 210 000 000.",
        .bad_number = "Introduza um número dentro do intervalo.", .bad_date = "Introduza uma data dentro do intervalo.",
        .bad_choice = "Escolha uma opção da lista.", .bad_text = "Isto não parece correto. Verifique.",
        .stale = "Esta página esteve aberta muito tempo. Envie-a mais uma vez.",
        .busy = "Houve demasiadas tentativas. Espere um minuto e envie novamente.",
        .unavailable = "De momento não podemos receber os dados. Envie novamente dentro de alguns minutos.",
        .trap = "Deixe isto vazio", .done_title = "Obrigado", .done = "Recebemos os seus dados.",
        .wait_title = "Um momento", .wait = "Estamos a preparar a sua conta. Esta página continua sozinha.",
        .again = "Continuar agora",
    },
    {
        .language = "nl", .optional = "optioneel", .choose = "Maak een keuze", .button = "Versturen",
        .errors = "Controleer wat u hebt ingevuld", .missing = "Vul dit veld in.",
        .unticked = "Vink dit vakje aan.", .unchosen = "Maak een keuze.",
        .bad_email = "Vul een e-mailadres in zoals naam@example.com.",
        .bad_phone = "Vul een telefoonnummer met landcode in, bijvoorbeeld +31 20 000 0000.",
        .bad_number = "Vul een getal binnen het bereik in.", .bad_date = "Vul een datum binnen het bereik in.",
        .bad_choice = "Kies uit de lijst.", .bad_text = "Dit lijkt niet te kloppen. Controleer het.",
        .stale = "Deze pagina stond lang open. Verstuur haar nog een keer.",
        .busy = "Er zijn te veel pogingen gedaan. Wacht een minuut en verstuur opnieuw.",
        .unavailable = "Dit lukt op dit moment niet. Verstuur het over een paar minuten opnieuw.",
        .trap = "Laat dit leeg", .done_title = "Bedankt", .done = "Wij hebben uw gegevens ontvangen.",
        .wait_title = "Een ogenblik", .wait = "Wij maken uw account klaar. Deze pagina gaat vanzelf verder.",
        .again = "Nu verder",
    },
    {
        .language = "pl", .optional = "opcjonalnie", .choose = "Proszę wybrać", .button = "Wyślij",
        .errors = "Proszę sprawdzić wprowadzone dane", .missing = "Proszę wypełnić to pole.",
        .unticked = "Proszę zaznaczyć to pole.", .unchosen = "Proszę dokonać wyboru.",
        .bad_email = "Proszę podać adres e-mail, na przykład imie@example.com.",
        .bad_phone = "Proszę podać numer z kierunkowym kraju, na przykład +48 22 000 00 00.",
        .bad_number = "Proszę podać liczbę z dozwolonego zakresu.", .bad_date = "Proszę podać datę z dozwolonego zakresu.",
        .bad_choice = "Proszę wybrać z listy.", .bad_text = "To nie wygląda poprawnie. Proszę sprawdzić.",
        .stale = "Ta strona była otwarta zbyt długo. Proszę wysłać ją jeszcze raz.",
        .busy = "Było zbyt wiele prób. Proszę odczekać minutę i wysłać ponownie.",
        .unavailable = "W tej chwili nie możemy tego przyjąć. Proszę wysłać ponownie za kilka minut.",
        .trap = "Proszę zostawić puste", .done_title = "Dziękujemy", .done = "Otrzymaliśmy Państwa dane.",
        .wait_title = "Chwileczkę", .wait = "Przygotowujemy konto. Ta strona sama przejdzie dalej.",
        .again = "Przejdź dalej",
    },
};

const struct form_words *
form_words(const char *language)
{
    for (size_t i = 0; i < sizeof(languages) / sizeof(languages[0]); i++) {
        if (strcmp(languages[i].language, language) == 0)
            return &languages[i];
    }
    return &languages[0];
}

const char *
form_words_missing(const struct form_words *words, uint8_t type)
{
    switch ((enum tracker_form_type) type) {
    case TRACKER_FORM_CHECKBOX:
    case TRACKER_FORM_CONSENT:
        return words->unticked;
    case TRACKER_FORM_SELECT:
    case TRACKER_FORM_MULTI:
    case TRACKER_FORM_COUNTRY:
        return words->unchosen;
    case TRACKER_FORM_TEXT:
    case TRACKER_FORM_EMAIL:
    case TRACKER_FORM_PHONE:
    case TRACKER_FORM_NUMBER:
    case TRACKER_FORM_DATE:
    case TRACKER_FORM_HIDDEN:
        break;
    }
    return words->missing;
}

const char *
form_words_invalid(const struct form_words *words, uint8_t type)
{
    switch ((enum tracker_form_type) type) {
    case TRACKER_FORM_EMAIL:
        return words->bad_email;
    case TRACKER_FORM_PHONE:
        return words->bad_phone;
    case TRACKER_FORM_NUMBER:
        return words->bad_number;
    case TRACKER_FORM_DATE:
        return words->bad_date;
    case TRACKER_FORM_SELECT:
    case TRACKER_FORM_MULTI:
    case TRACKER_FORM_COUNTRY:
        return words->bad_choice;
    case TRACKER_FORM_CHECKBOX:
    case TRACKER_FORM_CONSENT:
        return words->unticked;
    case TRACKER_FORM_TEXT:
    case TRACKER_FORM_HIDDEN:
        break;
    }
    return words->bad_text;
}
